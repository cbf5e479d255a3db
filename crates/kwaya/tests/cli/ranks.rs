//! Several processes that train one model, started by mpirun. All but one of
//! these tests need the feature `mpi` and Open MPI; `.ci/mpi` runs them.

#[cfg(not(feature = "mpi"))]
#[test]
fn a_program_for_one_process_refuses_to_be_one_of_several() {
    let place = crate::common::Place::with_documents(1);
    let run = |json: &[&str]| {
        let mut build = place.command(["build", "m"].iter().chain(json));
        crate::common::Ran::from(build.env("OMPI_COMM_WORLD_SIZE", "2").output().unwrap())
    };
    let ran = run(&[]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("2 times at once") && ran.err.contains("--features mpi"), "{}", ran.err);
    assert_eq!(run(&["--json"]).json()["error"]["key"], "ranks-without-mpi");
    assert!(!place.path("m/build").exists());
}

#[cfg(feature = "mpi")]
mod with_mpirun {
    use std::{
        fs,
        process::{Child, Command, Stdio},
        thread,
        time::{Duration, Instant},
    };

    use crate::{
        common::{Place, Ran, TINY, ledger, scratch},
        taught::{self, QUICK},
    };

    /// The program with `arguments` on `ranks` processes.
    fn mpirun(place: &Place, ranks: usize, arguments: &[&str]) -> Command {
        let mut command = Command::new("mpirun");
        // More processes than cores, by root in a container: not without being
        // told so.
        command.args(["--oversubscribe", "--allow-run-as-root", "-n", &ranks.to_string()]);
        command.arg(env!("CARGO_BIN_EXE_kwaya")).args(arguments);
        command.current_dir(place.path("")).stdin(Stdio::null());
        command
    }

    fn run(place: &Place, ranks: usize, arguments: &[&str]) -> Ran {
        Ran::from(mpirun(place, ranks, arguments).output().expect("Open MPI is installed"))
    }

    /// A place with the documents of `like` and its lock, and no build yet.
    fn unbuilt(like: &Place, train: &str) -> Place {
        let place = Place::with_documents(30);
        place.recipe(train);
        place.write("m/kwaya.lock", like.bytes("m/kwaya.lock"));
        place
    }

    #[test]
    fn any_number_of_processes_gives_the_model_of_one() {
        let train = format!("{TINY}micro_batches = 7\n");
        let alone = Place::with_documents(30);
        alone.recipe(&train);
        alone.run(["build", "m"]).good();
        for ranks in [1, 2, 3, 4] {
            let place = unbuilt(&alone, &train);
            let built = run(&place, ranks, &["build", "m", "--json"]).good().json();
            assert_eq!(place.model_hash(), alone.model_hash(), "{ranks} processes");
            assert_eq!(built["training"]["ranks"], ranks);
            assert_eq!(built["training"]["bytes_per_step"].as_u64().unwrap() > 0, ranks > 1);
            assert_eq!((ledger(&place).len(), scratch(&place.path("m"))), (6, vec![]));
            let page = place.text("m/build/report.html");
            assert_eq!(page.contains(&format!("{ranks} processes")), ranks > 1);
            // Nothing is left to do: the others must not wait for ever.
            run(&place, ranks, &["build", "m"]).good();
        }
    }

    #[test]
    fn a_plan_for_several_processes_gives_each_of_them_work() {
        let place = Place::with_documents(30);
        run(&place, 3, &["plan", "m"]).good();
        assert!(place.text("m/kwaya.lock").contains("micro_batches_per_step = 3\n"));
        let words = run(&place, 3, &["build", "m"]).good().out;
        assert!(words.contains("Processes  3; each sent"), "{words}");
        let alone = unbuilt(&place, TINY);
        alone.run(["build", "m"]).good();
        assert_eq!(place.model_hash(), alone.model_hash());
    }

    #[test]
    fn a_base_is_taught_by_any_number_of_processes() {
        for method in ["\"lora\"\nnew_tokens = 40\nrank = 4", "\"full\""] {
            let train = format!("{QUICK}micro_batches = 3\nmethod = {method}\n");
            let alone = taught::place(&train);
            alone.run(["build", "m"]).good();
            for ranks in [2, 3] {
                let place = taught::place(&train);
                place.write("m/kwaya.lock", alone.bytes("m/kwaya.lock"));
                let built = run(&place, ranks, &["build", "m", "--json"]).good().json();
                assert_eq!(place.model_hash(), alone.model_hash(), "{ranks} processes, {method}");
                assert_eq!(built["training"]["ranks"], ranks);
            }
        }
    }

    /// The processes that mpirun has started, rank 0 first.
    fn children(mpirun: &Child) -> Vec<i32> {
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
            // After the name, in brackets: the state and the parent.
            let parent = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1));
            if parent == Some(&mpirun.id().to_string()) {
                found.push(id);
            }
        }
        found.sort_unstable();
        found
    }

    fn signal(name: &str, process: i32) {
        let sent = Command::new("kill").args([name, &process.to_string()]).status().unwrap();
        assert!(sent.success(), "{name} to {process}");
    }

    /// Starts a build on `ranks` processes, sends `name` to the one that
    /// `whom` chooses once a checkpoint is there, and says how all ended.
    fn disturbed(place: &Place, ranks: usize, name: &str, whom: impl Fn(&Child) -> i32) -> Ran {
        let mut command = mpirun(place, ranks, &["build", "m", "--checkpoint-every", "0.1s"]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let began = Instant::now();
        let checkpoints = || -> Vec<_> {
            let folders = fs::read_dir(place.path("m/build/checkpoints")).into_iter().flatten().flatten();
            let files = folders.flat_map(|folder| fs::read_dir(folder.path()).into_iter().flatten().flatten());
            files.map(|file| file.file_name()).filter(|name| !name.to_string_lossy().starts_with('.')).collect()
        };
        let before = checkpoints();
        while checkpoints() == before {
            assert!(began.elapsed() < Duration::from_secs(60), "no checkpoint");
            thread::sleep(Duration::from_millis(20));
        }
        signal(name, whom(&child));
        let ran = Ran::from(child.wait_with_output().unwrap());
        assert!(began.elapsed() < Duration::from_secs(90), "the others waited: {ran:?}");
        assert!(!place.path("m/build/model/model.safetensors").exists(), "it was over before: {ran:?}");
        ran
    }

    #[test]
    fn a_lost_process_ends_all_and_the_next_run_goes_on_to_the_same_bits() {
        let train = format!("{}micro_batches = 6\n", TINY.replace("steps = 12", "steps = 1000"));
        let alone = Place::with_documents(30);
        alone.recipe(&train);
        alone.run(["build", "m"]).good();

        let place = unbuilt(&alone, &train);
        let ran = disturbed(&place, 3, "-KILL", |mpirun| children(mpirun)[2]);
        assert_ne!(ran.code, Some(0));
        assert!(ran.err.contains("rank 2") && ran.err.contains("signal 9"), "{}", ran.err);
        assert!(ran.err.contains("goes on from the newest checkpoint"), "{}", ran.err);
        let ran = disturbed(&place, 4, "-KILL", |mpirun| children(mpirun)[0]);
        assert_ne!(ran.code, Some(0), "rank 0 is no different");
        // Ctrl-C, at the terminal and to rank 0 alone.
        let ran = disturbed(&place, 2, "-INT", |mpirun| mpirun.id() as i32);
        assert!(ran.code != Some(0) && ran.err.contains("Stopped on request"), "{ran:?}");
        let ran = disturbed(&place, 2, "-INT", |mpirun| children(mpirun)[0]);
        assert!(ran.code == Some(1) && ran.err.contains("Stopped on request"), "{ran:?}");
        run(&place, 2, &["build", "m"]).good();
        assert_eq!(place.model_hash(), alone.model_hash());
        assert_eq!(ledger(&place).len(), 6);
    }

    /// The program on two processes, each with a folder of its own.
    fn apart(place: &Place, other: &str) -> Ran {
        let mut command = mpirun(place, 1, &["build", "m"]);
        command.args([":", "-n", "1", env!("CARGO_BIN_EXE_kwaya"), "build", other]);
        Ran::from(command.output().unwrap())
    }

    #[test]
    fn machines_with_a_folder_of_their_own_must_hold_the_same() {
        let place = Place::with_documents(30);
        place.run(["plan", "m"]).good();
        let ran = apart(&place, "missing");
        assert_eq!(ran.code, Some(1), "{ran:?}");
        for words in ["Process 1 on ", "missing/build/store", "on a shared disk, or copied"] {
            assert!(ran.err.contains(words), "no {words:?} in {}", ran.err);
        }
        // The same path, other tokens.
        let copy = |from: &str, to: &str| {
            let copied = Command::new("cp").arg("-r").args([place.path(from), place.path(to)]).status().unwrap();
            assert!(copied.success());
        };
        copy("m", "other");
        let store = place.path("other/build/store");
        let longest =
            walk(&store).into_iter().filter(|path| is_tokens(path)).max_by_key(|path| path.metadata().unwrap().len());
        let (training, mut bytes) = longest.map(|path| (path.clone(), fs::read(path).unwrap())).unwrap();
        let last = bytes.len() - 1;
        // A token of the training text, not one of the figures at the end.
        bytes[last / 2] ^= 1;
        fs::remove_file(&training).unwrap();
        fs::write(&training, &bytes).unwrap();
        let ran = apart(&place, "other");
        assert_eq!(ran.code, Some(1), "{ran:?}");
        for words in ["Process 1 on ", "another file of training text", "copy the folder of the recipe"] {
            assert!(ran.err.contains(words), "no {words:?} in {}", ran.err);
        }
        assert!(!place.path("m/build/model/model.safetensors").exists());
        // A copy as it should be.
        fs::remove_dir_all(place.path("other")).unwrap();
        copy("m", "other");
        let ran = apart(&place, "other");
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(!place.path("other/build/model").join("model.safetensors").exists(), "only the first writes");
    }

    fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
    }

    fn is_tokens(path: &std::path::Path) -> bool {
        fs::read(path).is_ok_and(|bytes| bytes.windows(13).take(1000).any(|window| window == b"document_ends"))
    }

    #[test]
    fn what_fails_before_the_training_fails_once_and_ends_all() {
        let place = Place::with_documents(30);
        place.recipe(&TINY.replace("layers = 1", "layers = 0"));
        let ran = run(&place, 3, &["build", "m"]);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert_eq!(ran.err.matches("error: ").count(), 1, "{}", ran.err);
        assert!(ran.err.contains("train.layers"), "{}", ran.err);
        let ran = run(&place, 2, &["plan", "nowhere", "--json"]);
        assert!(ran.code == Some(2) && ran.json()["error"]["key"] == "recipe-missing", "{ran:?}");
    }
}
