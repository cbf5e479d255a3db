//! One step: gradients of the micro-batches, their sum, clipping, AdamW.

use std::ops::Range;

use kwaya_math::{AdamW, Pool, sum_squares, zeros};
use kwaya_model::{Activations, Adapters, Batch, Frozen, Keep, Model, Network, Tensor, forward_backward, loss};

use crate::{ranks::Ranks, schedule::Schedule, tree::GradientTree};

/// What a training changes.
pub(crate) trait Learner {
    /// What the passes go through.
    fn network(&self) -> Network<'_>;
    /// The table of what is learned.
    fn tensors(&self) -> &[Tensor];
    fn weights(&self) -> &[f32];
    fn weights_mut(&mut self) -> &mut [f32];
}

impl Learner for Model {
    fn network(&self) -> Network<'_> {
        self.into()
    }
    fn tensors(&self) -> &[Tensor] {
        self.tensors()
    }
    fn weights(&self) -> &[f32] {
        self.weights()
    }
    fn weights_mut(&mut self) -> &mut [f32] {
        self.weights_mut()
    }
}

/// Adapters, and the frozen weights that they are learned beside.
pub(crate) struct Adapted<'a> {
    pub(crate) frozen: &'a Frozen<'a>,
    pub(crate) adapters: Adapters,
}

impl Learner for Adapted<'_> {
    fn network(&self) -> Network<'_> {
        Network::Adapted(self.frozen, &self.adapters)
    }
    fn tensors(&self) -> &[Tensor] {
        self.adapters.tensors()
    }
    fn weights(&self) -> &[f32] {
        self.adapters.weights()
    }
    fn weights_mut(&mut self) -> &mut [f32] {
        self.adapters.weights_mut()
    }
}

/// What a checkpoint keeps: what is learned and the optimiser's two averages.
pub(crate) struct State<L> {
    pub(crate) learner: L,
    pub(crate) first_moment: Vec<f32>,
    pub(crate) second_moment: Vec<f32>,
    /// Steps done.
    pub(crate) step: u64,
}

impl<L: Learner> State<L> {
    pub(crate) fn new(learner: L) -> Self {
        let length = learner.weights().len();
        Self { learner, first_moment: zeros(length), second_moment: zeros(length), step: 0 }
    }

    /// Whether it is all numbers: only then is it worth a checkpoint.
    pub(crate) fn is_finite(&self) -> bool {
        [self.learner.weights(), &self.first_moment, &self.second_moment]
            .iter()
            .all(|v| v.iter().all(|x| x.is_finite()))
    }
}

/// The memory and the arithmetic of a step. Takes no memory after `new`, but
/// for a few bytes where there are several ranks.
pub(crate) struct Stepper<'a> {
    schedule: &'a Schedule,
    pool: &'a Pool,
    ranks: &'a dyn Ranks,
    activations: Activations,
    losses: Vec<f32>,
    tree: GradientTree<'a>,
    /// The losses of the micro-batches: of this rank's, then of all.
    sums: Vec<f32>,
}

impl<'a> Stepper<'a> {
    pub(crate) fn new(
        network: Network<'_>,
        schedule: &'a Schedule,
        keep: Keep,
        pool: &'a Pool,
        ranks: &'a dyn Ranks,
    ) -> Self {
        let (rows, length) = (schedule.sequences_per_micro_batch, schedule.sequence_length);
        let (parameters, micro_batches) = (network.learned().len(), schedule.micro_batches_per_step);
        Self {
            schedule,
            pool,
            ranks,
            activations: network.activations(rows, length, schedule.precision, keep),
            losses: vec![0.0; rows * length],
            tree: GradientTree::new(parameters, micro_batches, pool, ranks),
            sums: Vec::with_capacity(micro_batches),
        }
    }

    /// Forgets a step that was begun.
    pub(crate) fn begin(&mut self) {
        self.tree.begin();
        self.sums.clear();
    }

    /// The micro-batches of a step that are for this rank.
    pub(crate) fn share(&self) -> Range<usize> {
        self.tree.share()
    }

    /// Adds a micro-batch to the step. `targets` is the number of targets in
    /// the whole step, of whose losses the gradient is the mean.
    pub(crate) fn micro_batch(&mut self, network: Network<'_>, batch: &Batch<'_>, targets: u64) {
        let gradient = self.tree.next();
        let losses = &mut self.losses[..batch.tokens.len()];
        // Where everything is masked, the gradient is 0.
        let scale = (1.0 / targets.max(1) as f64) as f32;
        let sum = forward_backward(network, batch, &mut self.activations, losses, gradient, scale, self.pool);
        self.sums.push(sum);
        self.tree.add();
    }

    /// Brings the ranks together once each has done its share or has been
    /// asked to stop. False when any of them has: the step is void then.
    pub(crate) fn meet(&mut self, stopped: bool) -> bool {
        if self.ranks.size() == 1 {
            return !stopped;
        }
        let mut mine = vec![u8::from(stopped)];
        mine.extend(self.sums.iter().flat_map(|sum| sum.to_le_bytes()));
        let all = self.ranks.gather(&mine);
        self.sums.clear();
        for sums in all.iter().map(|bytes| &bytes[1..]) {
            self.sums.extend(sums.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])));
        }
        all.iter().all(|bytes| bytes[0] == 0)
    }

    /// Closes the sum and returns the mean loss per target and the norm of the
    /// gradient before clipping.
    pub(crate) fn finish(&mut self, targets: u64) -> (f32, f32) {
        self.tree.close();
        let sum = self.sums.iter().fold(0.0, |sum, &next| sum + f64::from(next));
        let loss = (sum / targets.max(1) as f64) as f32;
        (loss, sum_squares(self.pool, self.gradient()).sqrt())
    }

    /// The gradient of the step, once finished.
    pub(crate) fn gradient(&self) -> &[f32] {
        self.tree.sum()
    }

    /// Clips by the global norm (Pascanu et al. 2013) as
    /// `torch.nn.utils.clip_grad_norm_` does, and updates the weights by AdamW
    /// (Loshchilov & Hutter 2019).
    pub(crate) fn update(&self, state: &mut State<impl Learner>, norm: f32) {
        state.step += 1;
        let schedule = self.schedule;
        let mut rule = AdamW {
            learning_rate: schedule.learning_rate_at(state.step),
            beta1: schedule.beta1,
            beta2: schedule.beta2,
            epsilon: schedule.epsilon,
            weight_decay: 0.0,
            step: state.step,
            gradient_scale: (schedule.clip_norm / (norm + 1e-6)).min(1.0),
        };
        for index in 0..state.learner.tensors().len() {
            let tensor = &state.learner.tensors()[index];
            let (range, decays) = (tensor.range.clone(), tensor.decays);
            rule.weight_decay = if decays { schedule.weight_decay } else { 0.0 };
            rule.update(
                self.pool,
                &mut state.learner.weights_mut()[range.clone()],
                &self.tree.sum()[range.clone()],
                &mut state.first_moment[range.clone()],
                &mut state.second_moment[range],
            );
        }
    }

    /// The losses of a batch, without gradients.
    pub(crate) fn losses(&mut self, network: Network<'_>, batch: &Batch<'_>) -> &[f32] {
        let losses = &mut self.losses[..batch.tokens.len()];
        loss(network, batch, &mut self.activations, losses, self.pool);
        losses
    }
}
