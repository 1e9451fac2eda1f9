//! DataFusion as an executor of checked plans: one partition, one thread, memory counted against a limit, no file, no
//! function, no catalogue. What does not fit into the memory is refused; nothing is ever spilled, so no scratch space of
//! any kind holds rows.

use std::sync::Arc;

use arrow_array::RecordBatch;
use datafusion::error::DataFusionError;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::physical_plan::{ExecutionPlan, collect};
use datafusion::prelude::SessionConfig;
use schemas::pipeline::Join;
use schemas::{R, Refusal};

use crate::check::check;
use crate::fault::{exceeded, internal, pipeline};
use crate::plan::{Given, build};
use crate::source::Source;

/// What a plan's execution may consist of, by the engine's names.
const OPERATORS: [&str; 9] = [
    "AggregateExec",
    "CoalesceBatchesExec",
    "CoalescePartitionsExec",
    "CooperativeExec",
    "DataSourceExec",
    "EmptyExec",
    "FilterExec",
    "HashJoinExec",
    "ProjectionExec",
];

/// Executes the join over the sources within `memory` bytes of working memory. The rows come in no particular order.
pub fn run(join: &Join, sources: &[Source], given: &[Given], memory: usize) -> R<Vec<RecordBatch>> {
    let disk = DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled);
    let environment = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(GreedyMemoryPool::new(memory)))
        .with_disk_manager_builder(disk)
        .build_arc()
        .map_err(fault)?;
    // One partition: the same tables give the same rows whatever the machine.
    let config = SessionConfig::new().with_target_partitions(1);
    let state = SessionStateBuilder::new().with_config(config).with_runtime_env(environment).build();
    let plan = build(join, sources, given).map_err(|_| pipeline("the join does not fit its tables"))?;
    let plan = state.optimize(&plan).map_err(fault)?;
    check(&plan, join)?;
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.map_err(|_| internal("the join has no thread"))?;
    runtime.block_on(async {
        let plan = state.query_planner().create_physical_plan(&plan, &state).await.map_err(fault)?;
        operators(&plan)?;
        collect(plan, state.task_ctx()).await.map_err(fault)
    })
}

fn operators(plan: &Arc<dyn ExecutionPlan>) -> R<()> {
    if !OPERATORS.contains(&plan.name()) {
        return Err(pipeline("the engine would execute a step of another kind"));
    }
    plan.children().into_iter().try_for_each(operators)
}

fn fault(error: DataFusionError) -> Refusal {
    match error.find_root() {
        DataFusionError::ResourcesExhausted(_) => exceeded("the join needs more memory than the room gives it"),
        _ => internal("the join's engine gave up"),
    }
}

#[cfg(test)]
mod tests {
    use schemas::Code;
    use schemas::pipeline::{ColumnRef, JoinKind, JoinStep};

    use super::*;
    use crate::names::Names;
    use crate::roles::{Role, Use};
    use crate::source::{Part, source};
    use crate::split::Split;
    use crate::{Limits, csv};

    #[test]
    fn a_join_beyond_its_memory_is_refused_and_writes_nothing_to_disk() {
        let text = (0..20_000).fold(String::from("k\n"), |text, i| text + &format!("person {i}\n"));
        let columns = ["k".to_owned()];
        let table = csv::read(text.as_bytes(), &columns, &columns, &Limits::ROOM).unwrap();
        let names = Names::new(&[3; 32], Split::new(&[1; 32], 500_000).unwrap()).unwrap();
        let key = |handle: &str| ColumnRef { handle: handle.into(), column: "k".into() };
        let join = Join {
            name: "j".into(),
            first: "a".into(),
            steps: vec![JoinStep { handle: "b".into(), kind: JoinKind::Inner, left: key("a"), right: key("b") }],
            projection: vec![],
            filters: vec![],
            aggregates: vec![],
        };
        let sources = ["a", "b"].map(|handle| {
            let part = Part { table: &table, rows: (0..20_000).collect(), prefix: String::new(), key: None };
            source(handle, &[&Use::new(&key(handle), Role::Key)], &[part], &names).unwrap()
        });
        let given = [Given::Row("a".into())];
        let rows = run(&join, &sources, &given, 64 << 20).unwrap();
        assert_eq!(rows.iter().map(RecordBatch::num_rows).sum::<usize>(), 20_000);
        let refused = run(&join, &sources, &given, 64 << 10).err().map(|refusal| refusal.code);
        assert_eq!(refused, Some(Code::LimitExceeded));
    }
}
