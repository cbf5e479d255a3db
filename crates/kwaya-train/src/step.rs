//! One step: gradients of the micro-batches, their sum, clipping, AdamW.

use kwaya_math::{AdamW, Pool, add_assign, sum_squares};
use kwaya_model::{Activations, Batch, Config, Keep, Model, forward_backward, loss};

use crate::schedule::Schedule;

/// What a checkpoint keeps: the model and the optimiser's two averages.
pub(crate) struct State {
    pub(crate) model: Model,
    pub(crate) first_moment: Vec<f32>,
    pub(crate) second_moment: Vec<f32>,
    /// Steps done.
    pub(crate) step: u64,
}

impl State {
    pub(crate) fn new(model: Model) -> Self {
        let zeros = vec![0.0; model.weights().len()];
        Self { model, first_moment: zeros.clone(), second_moment: zeros, step: 0 }
    }
}

/// The memory and the arithmetic of a step. Takes no memory after `new`.
pub(crate) struct Stepper<'a> {
    schedule: &'a Schedule,
    pool: &'a Pool,
    activations: Activations,
    losses: Vec<f32>,
    /// The partial sums of the tree, the largest first; see [`tree_depth`].
    gradients: Vec<Vec<f32>>,
    /// How many of them are in use.
    depth: usize,
    /// Micro-batches of this step so far.
    micro_batches: usize,
    loss_sum: f64,
}

/// How many partial sums a tree over `micro_batches` needs at once: one for
/// each bit of a counter.
pub(crate) fn tree_depth(micro_batches: usize) -> usize {
    micro_batches.ilog2() as usize + 1
}

impl<'a> Stepper<'a> {
    pub(crate) fn new(config: &Config, schedule: &'a Schedule, keep: Keep, pool: &'a Pool) -> Self {
        let (rows, length) = (schedule.sequences_per_micro_batch, schedule.sequence_length);
        let parameters = config.parameters() as usize;
        Self {
            schedule,
            pool,
            activations: Activations::new(config, rows, length, schedule.precision, keep),
            losses: vec![0.0; rows * length],
            gradients: vec![vec![0.0; parameters]; tree_depth(schedule.micro_batches_per_step)],
            depth: 0,
            micro_batches: 0,
            loss_sum: 0.0,
        }
    }

    /// Forgets a step that was begun.
    pub(crate) fn begin(&mut self) {
        (self.depth, self.micro_batches, self.loss_sum) = (0, 0, 0.0);
    }

    /// Adds a micro-batch to the step. `targets` is the number of targets in
    /// the whole step, of whose losses the gradient is the mean.
    pub(crate) fn micro_batch(&mut self, model: &Model, batch: &Batch<'_>, targets: u64) {
        let gradient = &mut self.gradients[self.depth];
        let losses = &mut self.losses[..batch.tokens.len()];
        let scale = (1.0 / targets as f64) as f32;
        let sum = forward_backward(model, batch, &mut self.activations, losses, gradient, scale, self.pool);
        self.loss_sum += f64::from(sum);
        self.depth += 1;
        self.micro_batches += 1;
        // A binary counter: sums of 2^k micro-batches wait until their
        // neighbour is there. The tree depends on nothing but the count.
        for _ in 0..self.micro_batches.trailing_zeros() {
            self.merge();
        }
    }

    fn merge(&mut self) {
        self.depth -= 1;
        let (kept, merged) = self.gradients.split_at_mut(self.depth);
        add_assign(self.pool, &mut kept[self.depth - 1], &merged[0]);
    }

    /// Closes the sum and returns the mean loss per target and the norm of the
    /// gradient before clipping.
    pub(crate) fn finish(&mut self, targets: u64) -> (f32, f32) {
        while self.depth > 1 {
            self.merge();
        }
        let loss = (self.loss_sum / targets as f64) as f32;
        (loss, sum_squares(self.pool, self.gradient()).sqrt())
    }

    /// The gradient of the step, once finished.
    pub(crate) fn gradient(&self) -> &[f32] {
        &self.gradients[0]
    }

    /// Clips by the global norm (Pascanu et al. 2013) as
    /// `torch.nn.utils.clip_grad_norm_` does, and updates the weights by AdamW
    /// (Loshchilov & Hutter 2019).
    pub(crate) fn update(&self, state: &mut State, norm: f32) {
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
        for index in 0..state.model.tensors().len() {
            let tensor = &state.model.tensors()[index];
            let (range, decays) = (tensor.range.clone(), tensor.decays);
            rule.weight_decay = if decays { schedule.weight_decay } else { 0.0 };
            rule.update(
                self.pool,
                &mut state.model.weights_mut()[range.clone()],
                &self.gradients[0][range.clone()],
                &mut state.first_moment[range.clone()],
                &mut state.second_moment[range],
            );
        }
    }

    /// The losses of a batch, without gradients.
    pub(crate) fn losses(&mut self, model: &Model, batch: &Batch<'_>) -> &[f32] {
        let losses = &mut self.losses[..batch.tokens.len()];
        loss(model, batch, &mut self.activations, losses, self.pool);
        losses
    }
}
