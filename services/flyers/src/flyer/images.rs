//! The pictures of one flyer: made from uploads, put in order.

use std::{collections::HashSet, time::Duration};

use bytes::Bytes;
use futures_util::future::join_all;
use service_kit::{
    image::{self, ImageError, Made},
    problem::{Fields, Problem},
};

use super::form::ImageRef;
use crate::{app::State, pictures::OF_FLYER};

/// Pictures that a flyer has at most; it has at least one.
pub(super) const MOST: usize = 5;

/// How long a client should wait when all threads for pictures have work.
const BUSY_RETRY: Duration = Duration::from_secs(2);

/// Makes all uploads at the same time.
///
/// # Errors
/// 400 that names each upload that is no picture; 503 when too many wait.
pub(super) async fn make(
    state: &State,
    uploads: Vec<(&'static str, Bytes)>,
) -> Result<Vec<(&'static str, Made)>, Problem> {
    let one = async |(slot, upload)| {
        let made = image::make(&state.images, upload, OF_FLYER, "flyers").await;
        (slot, made)
    };
    let mut fields = Fields::new();
    let mut all = Vec::new();
    for (slot, made) in join_all(uploads.into_iter().map(one)).await {
        match made {
            Ok(made) => all.push((slot, made)),
            Err(ImageError::Busy) => {
                return Err(Problem::unavailable(
                    ImageError::Busy.to_string(),
                    BUSY_RETRY,
                ));
            }
            Err(ImageError::Internal) => return Err(Problem::internal()),
            Err(fault) => {
                fields.insert(slot.to_owned(), fault.to_string());
            }
        }
    }
    super::form::no_faults(fields)?;
    Ok(all)
}

/// The pictures after a change, in their order: those that stay with their order, then the new
/// ones, or as `order` says.
///
/// `old` are ids in their order, `new` the names of the fields of new ones.
///
/// # Errors
/// 400: an id is not one of the flyer's, the order is not one of exactly these pictures, or
/// there would be none or too many.
pub(super) fn arrange(
    old: &[i64],
    remove: &[i64],
    new: &[&str],
    order: Option<&[ImageRef]>,
) -> Result<Vec<ImageRef>, Problem> {
    if let Some(id) = remove.iter().find(|id| !old.contains(id)) {
        let message = format!("{id} is not a picture of this flyer");
        return Err(Problem::invalid("remove_images", message));
    }
    let stay = old.iter().filter(|id| !remove.contains(id));
    let mut all: Vec<ImageRef> = stay.map(|id| ImageRef::Old(*id)).collect();
    all.extend(new.iter().map(|slot| ImageRef::New((*slot).to_owned())));
    count_is_good(all.len())?;
    let Some(order) = order else {
        return Ok(all);
    };
    let wanted: HashSet<String> = order.iter().map(name).collect();
    let there: HashSet<String> = all.iter().map(name).collect();
    if wanted != there || order.len() != all.len() {
        let names: Vec<String> = all.iter().map(name).collect();
        let message = format!("must name each picture once: {}", names.join(", "));
        return Err(Problem::invalid("image_order", message));
    }
    Ok(order.to_vec())
}

/// # Errors
/// 400: none, or too many.
pub(super) fn count_is_good(count: usize) -> Result<(), Problem> {
    match count {
        1..=MOST => Ok(()),
        0 => Err(Problem::invalid("image_1", "choose one to five pictures")),
        more => Err(Problem::invalid(
            "image_1",
            format!("a flyer has at most {MOST} pictures, these would be {more}"),
        )),
    }
}

fn name(image: &ImageRef) -> String {
    match image {
        ImageRef::Old(id) => id.to_string(),
        ImageRef::New(slot) => slot.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::{ImageRef::*, *};

    fn new(slot: &str) -> ImageRef {
        New(slot.to_owned())
    }

    #[test]
    fn new_pictures_come_last_unless_told() {
        let all = arrange(&[7, 5], &[7], &["image_1"], None).unwrap();
        assert_eq!(all, [Old(5), new("image_1")]);
        let order = [new("image_1"), Old(5), Old(7)];
        let all = arrange(&[7, 5], &[], &["image_1"], Some(&order)).unwrap();
        assert_eq!(all, order);
    }

    #[test]
    fn what_cannot_be_is_refused_by_name() {
        let field = |result: Result<_, Problem>| {
            let fields = result.unwrap_err().fields().clone();
            fields.into_keys().collect::<Vec<_>>().join(",")
        };
        let _: Vec<ImageRef> = arrange(&[1], &[], &[], None).unwrap();
        assert_eq!(field(arrange(&[1, 2], &[3], &[], None)), "remove_images");
        assert_eq!(field(arrange(&[1, 2], &[1, 2], &[], None)), "image_1");
        let five = ["image_1", "image_2", "image_3", "image_4", "image_5"];
        assert_eq!(field(arrange(&[1], &[], &five, None)), "image_1");
        arrange(&[1], &[1], &five, None).unwrap();
        for order in [
            vec![Old(1)],
            vec![Old(1), Old(1)],
            vec![Old(1), Old(2), Old(2)],
            vec![Old(1), Old(3)],
            vec![],
        ] {
            let result = arrange(&[1, 2], &[], &[], Some(&order));
            assert_eq!(field(result), "image_order", "{order:?}");
        }
    }
}
