//! The scheduler and the executors: processes of Ballista that know Kwaya's
//! function, and read and write where the coordinator does.
//!
//! Executors ask for work, so that nothing has to reach them but who fetches their
//! receipts. One that says nothing for a while is gone, and its work is given to
//! others.

use std::{net::SocketAddr, sync::Arc};

use ballista_core::{
    config::TaskSchedulingPolicy, error::BallistaError, registry::BallistaFunctionRegistry,
    utils::default_session_builder,
};
use ballista_executor::executor_process::{ExecutorProcessConfig, start_executor_process};
use ballista_scheduler::{cluster::BallistaCluster, config::SchedulerConfig, scheduler_process::start_server};
use datafusion::execution::{FunctionRegistry, SessionState, SessionStateBuilder};
use datafusion::prelude::SessionConfig;
use kwaya_base::{Error, Result, error::At};
use tokio::runtime::Runtime;
use url::Url;

use crate::{places, work};

/// An executor says every five seconds that it is there; one that was not heard
/// for so long is gone.
const GONE_SECONDS: u64 = 20;
/// How often that is looked at.
const LOOK_SECONDS: u64 = 5;
/// What fails with an executor is tried again; as many may be lost one after
/// another.
const ATTEMPTS: usize = 10;

/// A session as the scheduler and the coordinator have it.
fn session(config: SessionConfig) -> datafusion::common::Result<SessionState> {
    let state = default_session_builder(config)?;
    let mut state = SessionStateBuilder::new_from_existing(state).with_runtime_env(places::runtime()?).build();
    state.register_udf(Arc::new(work::function()))?;
    Ok(state)
}

/// What becomes of an error of the engine.
pub(crate) fn broken(error: &BallistaError) -> Error {
    Error::new("cluster-engine").arg("cause", error)
}

/// Runs a scheduler until it is stopped.
///
/// # Errors
/// When its address is taken.
pub(crate) fn scheduler(address: SocketAddr) -> Result<()> {
    let config = SchedulerConfig {
        bind_host: address.ip().to_string(),
        bind_port: address.port(),
        scheduling_policy: TaskSchedulingPolicy::PullStaged,
        executor_timeout_seconds: GONE_SECONDS,
        no_executors_grace_period_seconds: 10 * GONE_SECONDS,
        expire_dead_executor_interval_seconds: LOOK_SECONDS,
        task_max_failures: ATTEMPTS,
        stage_max_failures: ATTEMPTS,
        override_session_builder: Some(Arc::new(session)),
        ..SchedulerConfig::default()
    };
    runtime()?.block_on(serve(address, config)).map_err(|error| broken(&error))
}

async fn serve(address: SocketAddr, config: SchedulerConfig) -> Result<(), BallistaError> {
    let cluster = BallistaCluster::new_from_config(&config).await?;
    tokio::select! {
        served = start_server(cluster, address, Arc::new(config)) => served,
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}

/// Runs an executor that works on `threads` tickets at once, until it is stopped.
///
/// # Errors
/// When the scheduler cannot be reached, or its address is taken.
pub(crate) fn executor(scheduler: &Url, listen: SocketAddr, host: Option<String>, threads: usize) -> Result<()> {
    let folder = tempfile::Builder::new().prefix("kwaya-executor-").tempdir().at(&std::env::temp_dir())?;
    let state = session(SessionConfig::new()).map_err(|error| broken(&BallistaError::from(error)))?;
    let config = ExecutorProcessConfig {
        bind_host: listen.ip().to_string(),
        external_host: host,
        port: listen.port(),
        scheduler_host: scheduler.host_str().unwrap_or_default().to_owned(),
        scheduler_port: scheduler.port().unwrap_or(crate::PORT),
        vcores: threads,
        task_scheduling_policy: TaskSchedulingPolicy::PullStaged,
        work_dir: Some(folder.path().display().to_string()),
        override_function_registry: Some(Arc::new(BallistaFunctionRegistry::from(&state))),
        override_runtime_producer: Some(Arc::new(|_: &SessionConfig| places::runtime())),
        ..ExecutorProcessConfig::default()
    };
    runtime()?.block_on(start_executor_process(Arc::new(config))).map_err(|error| match error {
        BallistaError::GrpcConnectionError(cause) => unreachable(scheduler, cause),
        error => broken(&error),
    })
}

/// That nobody answers at the address of the scheduler.
pub(crate) fn unreachable(scheduler: &Url, cause: impl std::fmt::Display) -> Error {
    Error::new("cluster-scheduler-missing").arg("scheduler", scheduler).arg("cause", cause)
}

fn runtime() -> Result<Runtime> {
    Runtime::new().map_err(|error| Error::io(std::path::Path::new("/proc/self/task"), error))
}
