//! A listing with everything that belongs to it.

use std::{collections::HashMap, sync::LazyLock};

use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use service_kit::{
    database::{Database, Text, query},
    text,
};
use sqlx_macros::FromRow;

use super::summary::JOINS;

/// The listing's own columns; `l` is the listing.
const OWN: &str = "l.id, l.title, l.listing_url, l.seller, l.price_usd, l.price_date, l.condition, \
    l.status, l.quality, l.extraction_metadata_json, l.missing_fields, l.vendor_item_id, \
    l.marketplace, l.provenance, l.last_seen_at, l.dedup_hash, l.device_model, l.ram_gb, \
    l.ram_notes, l.primary_storage_gb, l.primary_storage_type, l.secondary_storage_gb, \
    l.secondary_storage_type, l.os_license, l.other_components, l.notes, l.raw_listing_json, \
    l.attributes_json, l.other_urls, l.thumbnail_url, l.adjusted_price_usd, \
    l.valuation_breakdown_json, l.score_cpu_multi, l.score_cpu_single, l.score_gpu, \
    l.score_composite, l.dollar_per_cpu_mark, l.dollar_per_single_mark, l.perf_per_watt, \
    l.dollar_per_cpu_mark_single, l.dollar_per_cpu_mark_single_adjusted, \
    l.dollar_per_cpu_mark_multi, l.dollar_per_cpu_mark_multi_adjusted, l.manufacturer, l.series, \
    l.model_number, l.form_factor, l.cpu_id, l.gpu_id, l.ports_profile_id, l.active_profile_id, \
    l.ruleset_id, l.ram_spec_id, l.primary_storage_profile_id, l.secondary_storage_profile_id, \
    l.created_at, l.updated_at";

/// What the rows point at.
const RELATED: &str = "c.name AS cpu_name, c.manufacturer AS cpu_manufacturer, c.socket AS cpu_socket, \
    c.cores AS cpu_cores, c.threads AS cpu_threads, c.tdp_w AS cpu_tdp_w, \
    c.igpu_model AS cpu_igpu_model, c.cpu_mark_multi, c.cpu_mark_single, c.igpu_mark, \
    c.release_year AS cpu_release_year, g.name AS gpu_name, g.manufacturer AS gpu_manufacturer, \
    g.gpu_mark, g.metal_score, pp.name AS ports_profile_name, \
    pp.description AS ports_profile_description, rs.label AS ram_label, \
    rs.ddr_generation AS ram_type, rs.speed_mhz AS ram_speed_mhz, \
    rs.module_count AS ram_module_count, rs.capacity_per_module_gb AS ram_capacity_per_module_gb, \
    rs.total_capacity_gb AS ram_total_capacity_gb, s1.label AS s1_label, s1.medium AS s1_medium, \
    s1.interface AS s1_interface, s1.form_factor AS s1_form_factor, s1.capacity_gb AS s1_capacity_gb, \
    s1.performance_tier AS s1_performance_tier, s2.label AS s2_label, s2.medium AS s2_medium, \
    s2.interface AS s2_interface, s2.form_factor AS s2_form_factor, s2.capacity_gb AS s2_capacity_gb, \
    s2.performance_tier AS s2_performance_tier, vr.name AS ruleset_name, pr.name AS profile_name";

/// `SELECT` of [`ListingRow`]s, up to the joins; conditions and order follow.
pub(super) static SELECT: LazyLock<String> =
    LazyLock::new(|| format!("SELECT {OWN}, {RELATED}\nFROM listing AS l{JOINS}\n"));

const COMPONENTS: Text = text!(
    "SELECT p.id, p.listing_id, p.component_type, p.name, p.quantity, p.metadata_json, p.adjustment_value_usd
     FROM listing_component AS p
     WHERE p.listing_id " { "IN (SELECT value FROM json_each($1))" | "= ANY($1)" } "
     ORDER BY p.listing_id, p.id"
);

const PORTS: Text = text!(
    "SELECT t.ports_profile_id, t.type, t.count, t.spec_notes
     FROM port AS t
     WHERE t.ports_profile_id " { "IN (SELECT value FROM json_each($1))" | "= ANY($1)" } "
     ORDER BY t.ports_profile_id, t.id"
);

/// A row of [`SELECT`].
#[derive(FromRow)]
pub(super) struct ListingRow {
    #[sqlx(flatten)]
    pub(super) own: Own,
    #[sqlx(flatten)]
    related: Related,
}

/// The listing's own columns.
#[derive(Debug, FromRow, Serialize, utoipa::ToSchema)]
pub(crate) struct Own {
    pub(crate) id: i64,
    title: String,
    listing_url: Option<String>,
    seller: Option<String>,
    pub(super) price_usd: Option<f64>,
    price_date: Option<DateTime<Utc>>,
    condition: String,
    status: String,
    quality: String,
    #[serde(rename = "extraction_metadata", serialize_with = "as_json")]
    #[schema(value_type = Option<Object>)]
    extraction_metadata_json: Option<String>,
    #[serde(serialize_with = "as_json")]
    #[schema(value_type = Option<Vec<String>>)]
    missing_fields: Option<String>,
    vendor_item_id: Option<String>,
    marketplace: String,
    provenance: Option<String>,
    last_seen_at: Option<DateTime<Utc>>,
    dedup_hash: Option<String>,
    device_model: Option<String>,
    ram_gb: i64,
    ram_notes: Option<String>,
    primary_storage_gb: i64,
    primary_storage_type: Option<String>,
    secondary_storage_gb: Option<i64>,
    secondary_storage_type: Option<String>,
    os_license: Option<String>,
    #[serde(serialize_with = "as_json")]
    #[schema(value_type = Option<Vec<String>>)]
    other_components: Option<String>,
    notes: Option<String>,
    #[serde(serialize_with = "as_json")]
    #[schema(value_type = Option<Object>)]
    raw_listing_json: Option<String>,
    #[serde(serialize_with = "as_json")]
    #[schema(value_type = Option<Object>)]
    attributes_json: Option<String>,
    #[serde(serialize_with = "as_json")]
    #[schema(value_type = Option<Vec<Object>>)]
    other_urls: Option<String>,
    thumbnail_url: Option<String>,
    pub(super) adjusted_price_usd: Option<f64>,
    #[serde(rename = "valuation_breakdown", serialize_with = "as_json")]
    #[schema(value_type = Option<Object>)]
    valuation_breakdown_json: Option<String>,
    score_cpu_multi: Option<f64>,
    score_cpu_single: Option<f64>,
    score_gpu: Option<f64>,
    score_composite: Option<f64>,
    dollar_per_cpu_mark: Option<f64>,
    dollar_per_single_mark: Option<f64>,
    perf_per_watt: Option<f64>,
    pub(super) dollar_per_cpu_mark_single: Option<f64>,
    dollar_per_cpu_mark_single_adjusted: Option<f64>,
    pub(super) dollar_per_cpu_mark_multi: Option<f64>,
    dollar_per_cpu_mark_multi_adjusted: Option<f64>,
    pub(super) manufacturer: Option<String>,
    series: Option<String>,
    model_number: Option<String>,
    pub(super) form_factor: Option<String>,
    cpu_id: Option<i64>,
    gpu_id: Option<i64>,
    ports_profile_id: Option<i64>,
    active_profile_id: Option<i64>,
    ruleset_id: Option<i64>,
    ram_spec_id: Option<i64>,
    primary_storage_profile_id: Option<i64>,
    secondary_storage_profile_id: Option<i64>,
    pub(super) created_at: DateTime<Utc>,
    pub(super) updated_at: DateTime<Utc>,
}

#[derive(FromRow)]
struct Related {
    cpu_name: Option<String>,
    cpu_manufacturer: Option<String>,
    cpu_socket: Option<String>,
    cpu_cores: Option<i64>,
    cpu_threads: Option<i64>,
    cpu_tdp_w: Option<i64>,
    cpu_igpu_model: Option<String>,
    cpu_mark_multi: Option<i64>,
    cpu_mark_single: Option<i64>,
    igpu_mark: Option<i64>,
    cpu_release_year: Option<i64>,
    gpu_name: Option<String>,
    gpu_manufacturer: Option<String>,
    gpu_mark: Option<i64>,
    metal_score: Option<i64>,
    ports_profile_name: Option<String>,
    ports_profile_description: Option<String>,
    ram_label: Option<String>,
    ram_type: Option<String>,
    ram_speed_mhz: Option<i64>,
    ram_module_count: Option<i64>,
    ram_capacity_per_module_gb: Option<i64>,
    ram_total_capacity_gb: Option<i64>,
    s1_label: Option<String>,
    s1_medium: Option<String>,
    s1_interface: Option<String>,
    s1_form_factor: Option<String>,
    s1_capacity_gb: Option<i64>,
    s1_performance_tier: Option<String>,
    s2_label: Option<String>,
    s2_medium: Option<String>,
    s2_interface: Option<String>,
    s2_form_factor: Option<String>,
    s2_capacity_gb: Option<i64>,
    s2_performance_tier: Option<String>,
    ruleset_name: Option<String>,
    profile_name: Option<String>,
}

/// A processor.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct CpuRead {
    id: i64,
    name: String,
    manufacturer: Option<String>,
    socket: Option<String>,
    cores: Option<i64>,
    threads: Option<i64>,
    tdp_w: Option<i64>,
    igpu_model: Option<String>,
    cpu_mark_multi: Option<i64>,
    cpu_mark_single: Option<i64>,
    igpu_mark: Option<i64>,
    release_year: Option<i64>,
}

/// Graphics.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct GpuRead {
    id: i64,
    name: String,
    manufacturer: Option<String>,
    gpu_mark: Option<i64>,
    metal_score: Option<i64>,
}

/// A set of ports.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct PortsProfileRead {
    id: i64,
    name: String,
    description: Option<String>,
    ports: Vec<PortRead>,
}

/// Ports of one kind.
#[derive(Clone, Serialize, utoipa::ToSchema)]
pub(crate) struct PortRead {
    #[serde(rename = "type")]
    kind: String,
    count: i64,
    spec_notes: Option<String>,
}

/// Memory.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct RamSpecRead {
    id: i64,
    label: Option<String>,
    ddr_generation: Option<String>,
    speed_mhz: Option<i64>,
    module_count: Option<i64>,
    capacity_per_module_gb: Option<i64>,
    total_capacity_gb: Option<i64>,
}

/// A disk.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct StorageProfileRead {
    id: i64,
    label: Option<String>,
    medium: Option<String>,
    interface: Option<String>,
    form_factor: Option<String>,
    capacity_gb: Option<i64>,
    performance_tier: Option<String>,
}

/// Something that has a name.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Named {
    id: i64,
    name: String,
}

/// A part of a listing.
#[derive(FromRow, Serialize, utoipa::ToSchema)]
pub(crate) struct ComponentRead {
    id: i64,
    #[serde(skip)]
    listing_id: i64,
    component_type: String,
    name: Option<String>,
    quantity: i64,
    #[serde(serialize_with = "as_json")]
    #[schema(value_type = Option<Object>)]
    metadata_json: Option<String>,
    adjustment_value_usd: Option<f64>,
}

/// A listing with everything that belongs to it.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct ListingRead {
    #[serde(flatten)]
    pub(super) own: Own,
    cpu_name: Option<String>,
    gpu_name: Option<String>,
    ram_type: Option<String>,
    ram_speed_mhz: Option<i64>,
    cpu: Option<CpuRead>,
    gpu: Option<GpuRead>,
    ports_profile: Option<PortsProfileRead>,
    ram_spec: Option<RamSpecRead>,
    primary_storage_profile: Option<StorageProfileRead>,
    secondary_storage_profile: Option<StorageProfileRead>,
    active_profile: Option<Named>,
    ruleset: Option<Named>,
    components: Vec<ComponentRead>,
}

/// Adds what belongs to the rows: two statements, however many rows.
pub(super) async fn complete(
    database: &Database,
    rows: Vec<ListingRow>,
) -> Result<Vec<ListingRead>, sqlx::Error> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<i64> = rows.iter().map(|row| row.own.id).collect();
    let mut profiles: Vec<i64> = rows
        .iter()
        .filter_map(|row| row.own.ports_profile_id)
        .collect();
    profiles.sort_unstable();
    profiles.dedup();
    let parts: Vec<ComponentRead> = query(COMPONENTS)
        .bind(ids)
        .fetch_all(database.read())
        .await?;
    let ports: Vec<(i64, String, i64, Option<String>)> = query(PORTS)
        .bind(profiles)
        .fetch_all(database.read())
        .await?;
    let mut parts_of: HashMap<i64, Vec<ComponentRead>> = HashMap::new();
    for part in parts {
        parts_of.entry(part.listing_id).or_default().push(part);
    }
    let mut ports_of: HashMap<i64, Vec<PortRead>> = HashMap::new();
    for (profile, kind, count, spec_notes) in ports {
        ports_of.entry(profile).or_default().push(PortRead {
            kind,
            count,
            spec_notes,
        });
    }
    let whole = rows.into_iter().map(|row| {
        let components = parts_of.remove(&row.own.id).unwrap_or_default();
        let profile = row.own.ports_profile_id;
        let ports = profile.and_then(|profile| ports_of.get(&profile));
        row.with(components, ports.cloned().unwrap_or_default())
    });
    Ok(whole.collect())
}

impl ListingRow {
    fn with(self, components: Vec<ComponentRead>, ports: Vec<PortRead>) -> ListingRead {
        let Self { own, related } = self;
        let named = |id: Option<i64>, name: &Option<String>| {
            Some(Named {
                id: id?,
                name: name.clone()?,
            })
        };
        ListingRead {
            cpu_name: related.cpu_name.clone(),
            gpu_name: related.gpu_name.clone(),
            ram_type: related.ram_type.clone(),
            ram_speed_mhz: related.ram_speed_mhz,
            active_profile: named(own.active_profile_id, &related.profile_name),
            ruleset: named(own.ruleset_id, &related.ruleset_name),
            ports_profile: related.ports(own.ports_profile_id, ports),
            gpu: related.gpu(own.gpu_id),
            ram_spec: related.ram(own.ram_spec_id),
            primary_storage_profile: related.primary(own.primary_storage_profile_id),
            secondary_storage_profile: related.secondary(own.secondary_storage_profile_id),
            cpu: related.cpu(own.cpu_id),
            components,
            own,
        }
    }
}

impl Related {
    fn cpu(&self, id: Option<i64>) -> Option<CpuRead> {
        Some(CpuRead {
            id: id?,
            name: self.cpu_name.clone()?,
            manufacturer: self.cpu_manufacturer.clone(),
            socket: self.cpu_socket.clone(),
            cores: self.cpu_cores,
            threads: self.cpu_threads,
            tdp_w: self.cpu_tdp_w,
            igpu_model: self.cpu_igpu_model.clone(),
            cpu_mark_multi: self.cpu_mark_multi,
            cpu_mark_single: self.cpu_mark_single,
            igpu_mark: self.igpu_mark,
            release_year: self.cpu_release_year,
        })
    }

    fn gpu(&self, id: Option<i64>) -> Option<GpuRead> {
        Some(GpuRead {
            id: id?,
            name: self.gpu_name.clone()?,
            manufacturer: self.gpu_manufacturer.clone(),
            gpu_mark: self.gpu_mark,
            metal_score: self.metal_score,
        })
    }

    fn ports(&self, id: Option<i64>, ports: Vec<PortRead>) -> Option<PortsProfileRead> {
        Some(PortsProfileRead {
            id: id?,
            name: self.ports_profile_name.clone()?,
            description: self.ports_profile_description.clone(),
            ports,
        })
    }

    fn ram(&self, id: Option<i64>) -> Option<RamSpecRead> {
        Some(RamSpecRead {
            id: id?,
            label: self.ram_label.clone(),
            ddr_generation: self.ram_type.clone(),
            speed_mhz: self.ram_speed_mhz,
            module_count: self.ram_module_count,
            capacity_per_module_gb: self.ram_capacity_per_module_gb,
            total_capacity_gb: self.ram_total_capacity_gb,
        })
    }

    fn primary(&self, id: Option<i64>) -> Option<StorageProfileRead> {
        Some(StorageProfileRead {
            id: id?,
            label: self.s1_label.clone(),
            medium: self.s1_medium.clone(),
            interface: self.s1_interface.clone(),
            form_factor: self.s1_form_factor.clone(),
            capacity_gb: self.s1_capacity_gb,
            performance_tier: self.s1_performance_tier.clone(),
        })
    }

    fn secondary(&self, id: Option<i64>) -> Option<StorageProfileRead> {
        Some(StorageProfileRead {
            id: id?,
            label: self.s2_label.clone(),
            medium: self.s2_medium.clone(),
            interface: self.s2_interface.clone(),
            form_factor: self.s2_form_factor.clone(),
            capacity_gb: self.s2_capacity_gb,
            performance_tier: self.s2_performance_tier.clone(),
        })
    }
}

/// Writes a text that holds JSON as that JSON. It was checked when it was stored; should it be
/// damaged, it is shown as the text that it is.
fn as_json<S: Serializer>(text: &Option<String>, to: S) -> Result<S::Ok, S::Error> {
    let Some(text) = text else {
        return to.serialize_none();
    };
    match serde_json::from_str::<&RawValue>(text) {
        Ok(raw) => raw.serialize(to),
        Err(_) => to.serialize_str(text),
    }
}
