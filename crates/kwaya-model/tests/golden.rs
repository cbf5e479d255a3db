//! The forward and backward pass against PyTorch: models saved by
//! `transformers` and what it computes with them (golden/make_golden.py).

#![expect(clippy::print_stdout, reason = "a test says how close it was")]

use std::path::{Path, PathBuf};

use kwaya_math::Pool;
use kwaya_model::{Activations, Batch, Keep, Model, Precision, forward_backward, logits, loss, tensors::Mapped};
use safetensors::Dtype;

/// Logits differ by the order of f32 sums alone. They are about 10 in size, so
/// this is some 50 units in the last place.
const LOGITS_TOLERANCE: f32 = 5e-5;
/// Of a gradient, as a part of the largest value in its tensor.
const GRADIENT_TOLERANCE: f32 = 2e-5;

struct Golden {
    model: Model,
    rows: usize,
    tokens: Vec<u32>,
    targets: Vec<u32>,
    file: Mapped,
    path: PathBuf,
}

impl Golden {
    fn load(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
        let path = folder.join("expected.safetensors");
        let file = Mapped::open(&path).unwrap();
        let read = file.read(&path).unwrap();
        let (tokens, targets) = (read.tensor("tokens").unwrap(), read.tensor("targets").unwrap());
        let rows = tokens.shape()[0];
        let tokens = tokens.data().as_chunks().0.iter().map(|&b| u32::from_le_bytes(b)).collect();
        let targets = targets.data().as_chunks().0.iter().map(|&b| u64::from_le_bytes(b) as u32).collect();
        Self { model: Model::load(&folder).unwrap(), rows, tokens, targets, file, path }
    }

    fn expected(&self, name: &str) -> Vec<f32> {
        let read = self.file.read(&self.path).unwrap();
        let view = read.tensor(name).unwrap();
        assert_eq!(view.dtype(), Dtype::F32, "{name}");
        view.data().as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
    }

    fn check(&self) {
        let n = self.tokens.len();
        let length = n / self.rows;
        let positions: Vec<u32> = (0..n).map(|i| (i % length) as u32).collect();
        let batch = Batch {
            rows: self.rows,
            tokens_per_row: length,
            tokens: &self.tokens,
            targets: &self.targets,
            starts: &vec![0; n],
            positions: &positions,
        };
        let pool = Pool::new(2);
        let mut activations =
            Activations::new(self.model.architecture(), self.rows, length, Precision::F32, Keep::Everything);

        let mut found = vec![0.0; n * self.model.config.vocab_size];
        logits(&self.model, &batch, &mut activations, &mut found, &pool);
        let expected = self.expected("logits");
        let worst = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        let size = expected.iter().fold(0.0f32, |a, b| a.max(b.abs()));
        println!("logits: worst difference {worst:.2e}, largest logit {size:.1}");
        assert!(worst < LOGITS_TOLERANCE);

        let counted = self.targets.iter().filter(|&&target| target != kwaya_model::IGNORED).count() as f32;
        let (mut losses, mut gradients) = (vec![0.0; n], vec![0.0; self.model.weights().len()]);
        let total =
            forward_backward(&self.model, &batch, &mut activations, &mut losses, &mut gradients, 1.0 / counted, &pool);
        let expected = self.expected("loss")[0];
        println!("loss: {} where PyTorch has {expected}", total / counted);
        assert!((total / counted - expected).abs() < 1e-5 * expected);
        let mut alone = vec![0.0; n];
        loss(&self.model, &batch, &mut activations, &mut alone, &pool);
        assert_eq!(alone, losses, "the forward pass alone gives the same losses");

        for tensor in self.model.tensors() {
            let expected = self.expected(&tensor.name);
            let found = &gradients[tensor.range.clone()];
            let size = expected.iter().fold(0.0f32, |a, b| a.max(b.abs()));
            let worst = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / size;
            println!("{}: worst difference {worst:.2e} of {size:.2e}", tensor.name);
            assert!(size > 0.0 && worst < GRADIENT_TOLERANCE, "{}", tensor.name);
        }
    }
}

#[test]
fn a_tied_model_matches_pytorch() {
    Golden::load("tied").check();
}

#[test]
fn an_untied_model_with_its_own_head_size_matches_pytorch() {
    Golden::load("untied").check();
}
