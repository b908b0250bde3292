//! Statements that write: what they change, and what they search for it.

use std::{collections::BTreeSet, ops::ControlFlow};

use speedwell_sql::Dialect;
use sqlparser::ast::{
    Assignment, AssignmentTarget, BinaryOperator, Delete, Expr, FromTable, Insert,
    OnConflictAction, OnInsert, SelectItem, SetExpr, TableObject, Update, UpdateTableFromKind,
    visit_expressions,
};

use super::{Scope, Walk, is_bare, last_name};
use crate::advice::{
    condition,
    facts::{Slot, Write, WriteKind},
};

impl Walk<'_> {
    pub(super) fn insert(&mut self, insert: &Insert, scope: &Scope) {
        let TableObject::TableName(name) = &insert.table else {
            return;
        };
        let Some(table) = self.schema.table(&last_name(name)) else {
            return;
        };
        self.found.write = Some(Write {
            table: table.name.clone(),
            kind: WriteKind::Insert,
            keeps_up: true,
        });
        let named: Vec<String> = match insert.columns.is_empty() {
            true => table
                .columns
                .iter()
                .map(|column| column.name.clone())
                .collect(),
            false => insert.columns.iter().map(last_name).collect(),
        };
        let Some(source) = &insert.source else { return };
        if let SetExpr::Values(values) = &*source.body {
            for row in &values.rows {
                for (value, column) in row.content.iter().zip(&named) {
                    self.stored(&table.name, column, value);
                }
            }
        }
        self.query(source, scope);
        // What a query gives is stored as well; what it compares is known by now.
        if let SetExpr::Select(select) = &*source.body {
            for (item, column) in select.projection.iter().zip(&named) {
                if let SelectItem::UnnamedExpr(value)
                | SelectItem::ExprWithAlias { expr: value, .. } = item
                {
                    self.stored(&table.name, column, value);
                }
            }
        }
        if let Some(OnInsert::OnConflict(conflict)) = &insert.on
            && let OnConflictAction::DoUpdate(update) = &conflict.action
        {
            let table = table.name.clone();
            self.assignments(&update.assignments, &table, scope);
        }
    }

    fn stored(&mut self, table: &str, column: &str, value: &Expr) {
        for number in condition::placeholders(value) {
            if self.found.slots.get(&number) == Some(&Slot::Other) {
                let slot = Slot::Stored {
                    table: table.to_owned(),
                    column: column.to_owned(),
                };
                self.found.slots.insert(number, slot);
            }
        }
    }

    pub(super) fn update(&mut self, update: &Update, scope: &Scope) {
        let mut tables = vec![update.table.clone()];
        if let Some(UpdateTableFromKind::BeforeSet(from) | UpdateTableFromKind::AfterSet(from)) =
            &update.from
        {
            tables.extend(from.iter().cloned());
        }
        let (scope, mut block) = self.block(&tables, scope);
        if let Some(selection) = &update.selection {
            self.condition(selection, &scope, &mut block);
        }
        let Some(&target) = block.searches.first() else {
            return;
        };
        let table = self.found.searches[target].table.clone();
        // The whole row is written again.
        self.found.searches[target].uses_all = true;
        let set = self.assignments(&update.assignments, &table, &scope);
        self.found.write = Some(Write {
            table,
            kind: WriteKind::Update(set),
            keeps_up: true,
        });
        self.returning(update.returning.as_deref(), &scope);
        self.branches(&block);
    }

    pub(super) fn delete(&mut self, delete: &Delete, scope: &Scope) {
        let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
        let tables: Vec<_> = from
            .iter()
            .chain(delete.using.iter().flatten())
            .cloned()
            .collect();
        let (scope, mut block) = self.block(&tables, scope);
        if let Some(selection) = &delete.selection {
            self.condition(selection, &scope, &mut block);
        }
        let Some(&target) = block.searches.first() else {
            return;
        };
        self.found.searches[target].uses_all = true;
        self.found.write = Some(Write {
            table: self.found.searches[target].table.clone(),
            kind: WriteKind::Delete,
            keeps_up: self.dialect != Dialect::Postgres,
        });
        self.returning(delete.returning.as_deref(), &scope);
        self.branches(&block);
    }

    fn returning(&mut self, items: Option<&[SelectItem]>, scope: &Scope) {
        for item in items.unwrap_or_default() {
            self.output(item, scope);
        }
    }

    fn assignments(
        &mut self,
        assignments: &[Assignment],
        table: &str,
        scope: &Scope,
    ) -> BTreeSet<String> {
        let mut set = BTreeSet::new();
        for assignment in assignments {
            if let AssignmentTarget::ColumnName(name) = &assignment.target {
                let column = last_name(name);
                self.amounts(&assignment.value);
                self.stored(table, &column, &assignment.value);
                set.insert(column);
            }
            self.parts(&assignment.value, scope);
        }
        set
    }

    /// `points - $1`: a value of `points` in the place of `$1` would go against what rows must hold.
    fn amounts(&mut self, value: &Expr) {
        let mut numbers = Vec::new();
        let _ = visit_expressions(value, |part: &Expr| {
            if let Expr::BinaryOp {
                left,
                op: BinaryOperator::Plus | BinaryOperator::Minus,
                right,
            } = part
            {
                let sides = [&**left, &**right];
                let bare = sides.into_iter().filter(|side| is_bare(side));
                numbers.extend(bare.flat_map(condition::placeholders));
            }
            ControlFlow::<()>::Continue(())
        });
        for number in numbers {
            if self.found.slots.get(&number) == Some(&Slot::Other) {
                self.found.slots.insert(number, Slot::Amount);
            }
        }
    }
}
