//! What a collection or a link shows of a listing.

use serde::{Deserialize, Serialize};
use sqlx_macros::FromRow;

/// The columns of a [`SummaryRow`]; `l` is the listing, the rest as [`JOINS`] names it.
pub(crate) const SUMMARY: &str = "l.id, l.title, l.listing_url, l.price_usd, l.adjusted_price_usd, \
    l.condition, l.status, l.thumbnail_url, l.manufacturer, l.form_factor, l.ram_gb, \
    l.primary_storage_gb, l.primary_storage_type, l.secondary_storage_gb, l.secondary_storage_type, \
    l.score_composite, l.score_cpu_multi, l.score_cpu_single, l.score_gpu, \
    l.dollar_per_cpu_mark_multi, l.dollar_per_cpu_mark_single, \
    c.name AS cpu_name, c.cpu_mark_multi, c.cpu_mark_single, g.name AS gpu_name, g.gpu_mark, \
    pp.name AS ports_profile_name, rs.label AS ram_label, rs.ddr_generation AS ram_type, \
    rs.speed_mhz AS ram_speed_mhz, s1.label AS primary_storage_label, \
    s2.label AS secondary_storage_label, vr.name AS ruleset_name, pr.name AS profile_name";

/// All eight relations of a listing `l`: many to one, so that no row is there twice.
pub(crate) const JOINS: &str = "
LEFT JOIN cpu AS c ON c.id = l.cpu_id
LEFT JOIN gpu AS g ON g.id = l.gpu_id
LEFT JOIN ports_profile AS pp ON pp.id = l.ports_profile_id
LEFT JOIN ram_spec AS rs ON rs.id = l.ram_spec_id
LEFT JOIN storage_profile AS s1 ON s1.id = l.primary_storage_profile_id
LEFT JOIN storage_profile AS s2 ON s2.id = l.secondary_storage_profile_id
LEFT JOIN valuation_ruleset AS vr ON vr.id = l.ruleset_id
LEFT JOIN profile AS pr ON pr.id = l.active_profile_id";

/// A row of [`SUMMARY`].
#[derive(Debug, FromRow)]
pub(crate) struct SummaryRow {
    id: i64,
    title: String,
    listing_url: Option<String>,
    price_usd: Option<f64>,
    adjusted_price_usd: Option<f64>,
    condition: String,
    status: String,
    thumbnail_url: Option<String>,
    manufacturer: Option<String>,
    form_factor: Option<String>,
    ram_gb: i64,
    primary_storage_gb: i64,
    primary_storage_type: Option<String>,
    secondary_storage_gb: Option<i64>,
    secondary_storage_type: Option<String>,
    score_composite: Option<f64>,
    score_cpu_multi: Option<f64>,
    score_cpu_single: Option<f64>,
    score_gpu: Option<f64>,
    dollar_per_cpu_mark_multi: Option<f64>,
    dollar_per_cpu_mark_single: Option<f64>,
    cpu_name: Option<String>,
    cpu_mark_multi: Option<i64>,
    cpu_mark_single: Option<i64>,
    gpu_name: Option<String>,
    gpu_mark: Option<i64>,
    ports_profile_name: Option<String>,
    ram_label: Option<String>,
    ram_type: Option<String>,
    ram_speed_mhz: Option<i64>,
    primary_storage_label: Option<String>,
    secondary_storage_label: Option<String>,
    ruleset_name: Option<String>,
    profile_name: Option<String>,
}

/// A listing, as a collection or a link shows it.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub(crate) struct ListingSummary {
    pub(crate) id: i64,
    pub(crate) title: String,
    pub(crate) url: Option<String>,
    pub(crate) price_usd: Option<f64>,
    pub(crate) adjusted_price_usd: Option<f64>,
    pub(crate) condition: String,
    pub(crate) status: String,
    pub(crate) manufacturer: Option<String>,
    pub(crate) form_factor: Option<String>,
    pub(crate) thumbnail_url: Option<String>,
    pub(crate) cpu: Option<CpuSummary>,
    pub(crate) gpu: Option<GpuSummary>,
    /// Name of the set of ports.
    pub(crate) ports_profile: Option<String>,
    pub(crate) ram: RamSummary,
    pub(crate) primary_storage: StorageSummary,
    pub(crate) secondary_storage: Option<StorageSummary>,
    /// Name of the rules by which it is valued.
    pub(crate) ruleset: Option<String>,
    /// Name of the weights by which it is scored.
    pub(crate) profile: Option<String>,
    pub(crate) scores: Scores,
}

/// The processor of a listing.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub(crate) struct CpuSummary {
    pub(crate) name: String,
    pub(crate) cpu_mark_multi: Option<i64>,
    pub(crate) cpu_mark_single: Option<i64>,
}

/// The graphics of a listing.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub(crate) struct GpuSummary {
    pub(crate) name: String,
    pub(crate) gpu_mark: Option<i64>,
}

/// The memory of a listing.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub(crate) struct RamSummary {
    pub(crate) gb: i64,
    pub(crate) label: Option<String>,
    pub(crate) ddr_generation: Option<String>,
    pub(crate) speed_mhz: Option<i64>,
}

/// A disk of a listing.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub(crate) struct StorageSummary {
    pub(crate) gb: Option<i64>,
    #[serde(rename = "type")]
    pub(crate) kind: Option<String>,
    pub(crate) label: Option<String>,
}

/// How good a listing is, and what that costs.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub(crate) struct Scores {
    pub(crate) composite: Option<f64>,
    pub(crate) cpu_multi: Option<f64>,
    pub(crate) cpu_single: Option<f64>,
    pub(crate) gpu: Option<f64>,
    pub(crate) dollar_per_cpu_mark_multi: Option<f64>,
    pub(crate) dollar_per_cpu_mark_single: Option<f64>,
}

impl From<SummaryRow> for ListingSummary {
    fn from(row: SummaryRow) -> Self {
        let (multi, single) = (row.cpu_mark_multi, row.cpu_mark_single);
        let secondary = StorageSummary {
            gb: row.secondary_storage_gb,
            kind: row.secondary_storage_type,
            label: row.secondary_storage_label,
        };
        let has_secondary = secondary.gb.is_some() || secondary.label.is_some();
        Self {
            id: row.id,
            title: row.title,
            url: row.listing_url,
            price_usd: row.price_usd,
            adjusted_price_usd: row.adjusted_price_usd,
            condition: row.condition,
            status: row.status,
            manufacturer: row.manufacturer,
            form_factor: row.form_factor,
            thumbnail_url: row.thumbnail_url,
            cpu: row.cpu_name.map(|name| CpuSummary {
                name,
                cpu_mark_multi: multi,
                cpu_mark_single: single,
            }),
            gpu: row.gpu_name.map(|name| GpuSummary {
                name,
                gpu_mark: row.gpu_mark,
            }),
            ports_profile: row.ports_profile_name,
            ram: RamSummary {
                gb: row.ram_gb,
                label: row.ram_label,
                ddr_generation: row.ram_type,
                speed_mhz: row.ram_speed_mhz,
            },
            primary_storage: StorageSummary {
                gb: Some(row.primary_storage_gb),
                kind: row.primary_storage_type,
                label: row.primary_storage_label,
            },
            secondary_storage: has_secondary.then_some(secondary),
            ruleset: row.ruleset_name,
            profile: row.profile_name,
            scores: Scores {
                composite: row.score_composite,
                cpu_multi: row.score_cpu_multi,
                cpu_single: row.score_cpu_single,
                gpu: row.score_gpu,
                dollar_per_cpu_mark_multi: row.dollar_per_cpu_mark_multi,
                dollar_per_cpu_mark_single: row.dollar_per_cpu_mark_single,
            },
        }
    }
}
