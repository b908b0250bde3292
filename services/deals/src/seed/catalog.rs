//! The rows of the reference data.

use chrono::{DateTime, Utc};
use service_kit::seed::Cells;

use super::parts::{Cpu, GROUP_WEIGHTS, Gpu, PROFILES, Parts, Port, RULESETS, Ram, Storage};

/// Tables with their rows, in an order in which they can be written.
pub(super) fn rows(parts: &Parts, at: DateTime<Utc>) -> [(&'static str, Vec<Cells>); 8] {
    [
        ("cpu", cpus(parts, at)),
        ("gpu", gpus(parts, at)),
        ("ports_profile", ports_profiles(at)),
        ("port", ports(parts)),
        ("ram_spec", rams(parts)),
        ("storage_profile", storages(parts)),
        ("profile", profiles()),
        ("valuation_ruleset", rulesets()),
    ]
}

fn cpus(parts: &Parts, at: DateTime<Utc>) -> Vec<Cells> {
    let row = |(cpu, id): (&Cpu, i64)| -> Cells {
        vec![
            ("id", id.into()),
            ("name", (&cpu.name).into()),
            ("manufacturer", cpu.manufacturer.into()),
            ("socket", cpu.socket.into()),
            ("cores", cpu.cores.into()),
            ("threads", cpu.threads.into()),
            ("tdp_w", cpu.tdp_w.into()),
            ("igpu_model", cpu.igpu.into()),
            ("cpu_mark_multi", cpu.multi.into()),
            ("cpu_mark_single", cpu.single.into()),
            ("igpu_mark", cpu.igpu_mark.into()),
            ("release_year", cpu.year.into()),
            ("created_at", at.into()),
            ("updated_at", at.into()),
        ]
    };
    parts.cpus.iter().zip(1..).map(row).collect()
}

fn gpus(parts: &Parts, at: DateTime<Utc>) -> Vec<Cells> {
    let row = |(gpu, id): (&Gpu, i64)| -> Cells {
        vec![
            ("id", id.into()),
            ("name", (&gpu.name).into()),
            ("manufacturer", gpu.manufacturer.into()),
            ("gpu_mark", gpu.mark.into()),
            ("metal_score", gpu.metal.into()),
            ("created_at", at.into()),
            ("updated_at", at.into()),
        ]
    };
    parts.gpus.iter().zip(1..).map(row).collect()
}

fn ports_profiles(at: DateTime<Utc>) -> Vec<Cells> {
    let row = |id: i64| -> Cells {
        vec![
            ("id", id.into()),
            ("name", format!("Ports {id:02}").into()),
            ("description", "Front and back together".into()),
            ("created_at", at.into()),
            ("updated_at", at.into()),
        ]
    };
    (1..=Parts::PORTS_PROFILES).map(row).collect()
}

fn ports(parts: &Parts) -> Vec<Cells> {
    let row = |port: &Port| -> Cells {
        vec![
            ("ports_profile_id", port.profile.into()),
            ("type", port.kind.into()),
            ("count", port.count.into()),
            ("spec_notes", port.notes.into()),
        ]
    };
    parts.ports.iter().map(row).collect()
}

fn rams(parts: &Parts) -> Vec<Cells> {
    let row = |(ram, id): (&Ram, i64)| -> Cells {
        let (total, kind) = (ram.total_gb(), ram.generation.to_uppercase());
        vec![
            ("id", id.into()),
            ("label", format!("{total} GB {kind}-{}", ram.speed).into()),
            ("ddr_generation", ram.generation.into()),
            ("speed_mhz", ram.speed.into()),
            ("module_count", ram.modules.into()),
            ("capacity_per_module_gb", ram.each_gb.into()),
            ("total_capacity_gb", total.into()),
        ]
    };
    parts.rams.iter().zip(1..).map(row).collect()
}

fn storages(parts: &Parts) -> Vec<Cells> {
    let row = |(storage, id): (&Storage, i64)| -> Cells {
        vec![
            ("id", id.into()),
            (
                "label",
                format!("{} GB {} {}", storage.gb, storage.interface, storage.form).into(),
            ),
            ("medium", storage.medium.into()),
            ("interface", storage.interface.into()),
            ("form_factor", storage.form.into()),
            ("capacity_gb", storage.gb.into()),
            ("performance_tier", storage.tier.into()),
        ]
    };
    parts.storages.iter().zip(1..).map(row).collect()
}

fn profiles() -> Vec<Cells> {
    let row = |((name, weights), id): ((&str, &str), i64)| -> Cells {
        vec![
            ("id", id.into()),
            ("name", name.into()),
            ("weights_json", weights.into()),
            ("rule_group_weights_json", GROUP_WEIGHTS.into()),
            ("is_default", (id == 1).into()),
        ]
    };
    PROFILES.into_iter().zip(1..).map(row).collect()
}

fn rulesets() -> Vec<Cells> {
    let row = |((name, version), id): ((&str, &str), i64)| -> Cells {
        vec![
            ("id", id.into()),
            ("name", name.into()),
            ("version", version.into()),
            ("priority", (id * 10).into()),
            ("conditions_json", r#"{"marketplace":"any"}"#.into()),
        ]
    };
    RULESETS.into_iter().zip(1..).map(row).collect()
}
