//! A query over tickets, as the coordinator sends it: `SELECT kwaya_work(ticket)`.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::Arc,
    time::Duration,
};

use ballista::prelude::SessionContextExt;
use ballista_core::{
    config::{BALLISTA_CLIENT_PULL, BALLISTA_SCHEDULER_MAX_PARTITIONS_PER_TASK},
    execution_plans::DistributedQueryExec,
    extension::SessionConfigExt,
    serde::protobuf::{CancelJobParams, scheduler_grpc_client::SchedulerGrpcClient},
};
use datafusion::{
    arrow::{
        datatypes::{DataType, Field, Schema},
        record_batch::RecordBatch,
    },
    common::{DataFusionError, cast::as_string_array},
    execution::SessionStateBuilder,
    physical_plan::{ExecutionPlan, execute_stream},
    prelude::{JsonReadOptions, SessionConfig, SessionContext, col},
};
use datafusion_proto::protobuf::LogicalPlanNode;
use futures_util::TryStreamExt;
use kwaya_base::{Error, Result};
use url::Url;

use crate::{
    PORT, places,
    processes::unreachable,
    tickets::{Receipt, unwrap},
    work,
};

/// The column of the tickets.
const COLUMN: &str = "ticket";
/// How long the scheduler may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// A line of the table of tickets.
pub(crate) fn row(ticket: &str) -> Vec<u8> {
    let mut line = serde_json::json!({ COLUMN: ticket }).to_string();
    line.push('\n');
    line.into_bytes()
}

/// The ticket of such a line.
///
/// # Errors
/// When this is another kind of line.
pub(crate) fn ticket_in(row: &[u8]) -> Result<String> {
    let row: Option<serde_json::Value> = serde_json::from_slice(row).ok();
    let ticket = row.and_then(|row| row[COLUMN].as_str().map(str::to_owned));
    ticket.ok_or_else(|| Error::new("cluster-version"))
}

/// Asks the scheduler whether it is there and has executors.
///
/// # Errors
/// When it is not or has none.
pub(crate) fn ask(scheduler: &Url) -> Result<()> {
    let address = format!("{}:{}", scheduler.host_str().unwrap_or_default(), scheduler.port().unwrap_or(PORT));
    let asked = TcpStream::connect(&address).and_then(|mut stream| {
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(stream, "GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).map(|()| answer)
    });
    match asked {
        Err(error) => Err(unreachable(scheduler, error)),
        Ok(answer) if &answer == b"HTTP/1.1 200" => Ok(()),
        Ok(_) => Err(Error::new("cluster-no-executor").arg("scheduler", scheduler)),
    }
}

/// A query that is under way.
pub(crate) struct Query {
    plan: Arc<dyn ExecutionPlan>,
    context: SessionContext,
    scheduler: Url,
}

impl Query {
    /// A query over the tickets at these addresses, each a task of its own.
    ///
    /// # Errors
    /// When the engine does not take it.
    pub(crate) async fn plan(scheduler: &Url, tickets: Vec<String>) -> Result<Self> {
        let planned = plan(scheduler, tickets).await.map_err(|error| failed(&error))?;
        Ok(Self { plan: planned.0, context: planned.1, scheduler: scheduler.clone() })
    }

    /// Waits until all is done.
    ///
    /// # Errors
    /// What a ticket brings, and when too many executors were lost.
    pub(crate) async fn run(&self) -> Result<Vec<Receipt>> {
        let texts = texts(Arc::clone(&self.plan), &self.context).await.map_err(|error| failed(&error))?;
        Ok(texts.iter().filter_map(|text| serde_json::from_str(text).ok()).collect())
    }

    /// Takes it back.
    pub(crate) async fn cancel(&self) {
        let plan = self.plan.downcast_ref::<DistributedQueryExec<LogicalPlanNode>>();
        let job = plan.and_then(|plan| plan.job_id());
        let Some(job) = job else { return };
        let address = self.scheduler.as_str().replacen(self.scheduler.scheme(), "http", 1);
        // What cannot be taken back ends by itself.
        if let Ok(mut client) = SchedulerGrpcClient::connect(address).await {
            let _ = client.cancel_job(CancelJobParams { job_id: job.into() }).await;
        }
    }
}

async fn plan(
    scheduler: &Url,
    tickets: Vec<String>,
) -> Result<(Arc<dyn ExecutionPlan>, SessionContext), DataFusionError> {
    let config = SessionConfig::new_with_ballista()
        .with_target_partitions(tickets.len())
        .with_repartition_file_scans(false)
        .set_bool(BALLISTA_CLIENT_PULL, true)
        .set_usize(BALLISTA_SCHEDULER_MAX_PARTITIONS_PER_TASK, 1);
    let state = SessionStateBuilder::new()
        .with_default_features()
        .with_config(config)
        .with_runtime_env(places::runtime()?)
        .build();
    let context = SessionContext::remote_with_state(scheduler.as_str(), state).await?;
    context.register_udf(work::function());
    let schema = Schema::new(vec![Field::new(COLUMN, DataType::Utf8, false)]);
    let table = context.read_json(tickets, JsonReadOptions::default().schema(&schema)).await?;
    let table = table.select(vec![work::function().call(vec![col(COLUMN)])])?;
    Ok((table.create_physical_plan().await?, context))
}

/// The rows of the only column.
async fn texts(plan: Arc<dyn ExecutionPlan>, context: &SessionContext) -> Result<Vec<String>, DataFusionError> {
    let batches: Vec<RecordBatch> = execute_stream(plan, context.task_ctx())?.try_collect().await?;
    let mut texts = Vec::new();
    for batch in &batches {
        texts.extend(as_string_array(batch.column(0))?.iter().flatten().map(str::to_owned));
    }
    Ok(texts)
}

/// What becomes of an error of the engine, which may hold one of ours.
fn failed(error: &DataFusionError) -> Error {
    let words = error.to_string();
    Error::new("cluster-failed").arg("cause", unwrap(&words))
}
