//! An LSTM with its backward pass by hand.
//!
//! As single operations of the library an LSTM spends its time between them. Here one product makes the inputs' part of
//! all steps' gates at once, a step has eight operations forward and five backward, all on memory laid out before the
//! loop, steps first. With the gates i, f, g, o after their functions, c the cell and h = o·tanh(c), the backward pass
//! needs per step only dh, dc and these products, made for all steps at once:
//!
//! ∂h/∂c = o(1 − tanh²c); per dc: g·i(1 − i), c₋₁·f(1 − f), i(1 − g²); per dh: tanh(c)·o(1 − o).
//!
//! Input and previous state lie side by side, [x_t | h_{t−1}], so that both weights' gradients are one outer product.

use tch::Tensor;

use super::layers::Lstm;
use super::part::Part;
use super::tape::{Form, Mode, Tape};
use super::{T, Weights};

/// What a forward pass leaves for the backward pass; all steps first.
pub struct Saved {
    cell: Lstm,
    learnt: Learnt,
    /// [steps, rows, inputs + hidden]
    xh: Tensor,
    /// Gates after their functions, [steps, rows, 4 hidden].
    gates: Tensor,
    /// Cells before and after, [steps + 1, rows, hidden].
    cells: Tensor,
    /// tanh of the cells after.
    tanh: Tensor,
}

/// Which of the four tensors are learnt, by place.
#[derive(Clone, Copy)]
pub struct Learnt {
    ih: Option<usize>,
    hh: Option<usize>,
    biases: [Option<usize>; 2],
}

impl Learnt {
    fn of(cell: &Lstm, weights: &Weights<'_>) -> Learnt {
        let learnt = |place| weights.learnt(Some(place));
        Learnt { ih: learnt(cell.ih.0), hh: learnt(cell.hh.0), biases: [learnt(cell.ih.1), learnt(cell.hh.1)] }
    }

    /// The gradients' outer product for [x | h] and g, [rows, steps, …].
    pub fn part(&self, xh: &Tensor, inputs: i64, g: Tensor) -> T<Option<Part>> {
        let hidden = xh.size3()?.2 - inputs;
        let biases: Vec<usize> = self.biases.iter().flatten().copied().collect();
        let (weights, a) = match (self.ih, self.hh) {
            (Some(ih), Some(hh)) => (vec![(ih, 0, inputs), (hh, inputs, hidden)], xh.shallow_clone()),
            (Some(ih), None) => (vec![(ih, 0, inputs)], xh.f_narrow(2, 0, inputs)?),
            (None, Some(hh)) => (vec![(hh, 0, hidden)], xh.f_narrow(2, inputs, hidden)?),
            (None, None) if biases.is_empty() => return Ok(None),
            (None, None) => (vec![], xh.shallow_clone()),
        };
        Part::outer(weights, biases, a, g).map(Some)
    }
}

/// All hidden states of x [rows, steps, inputs]; cuts the tape.
pub fn forward(cell: &Lstm, x: &Tensor, weights: &Weights<'_>, tape: &mut Tape) -> T<Tensor> {
    let (saved, output) = tch::no_grad(|| states(cell, x, weights))?;
    match tape.mode() {
        Mode::Infer => Ok(output),
        _ => tape.cut(x, saved, output),
    }
}

fn states(cell: &Lstm, x: &Tensor, weights: &Weights<'_>) -> T<(Saved, Tensor)> {
    let (rows, steps, inputs) = x.size3()?;
    let hidden = cell.hidden;
    let options = (x.kind(), x.device());
    let xh = Tensor::f_empty([steps + 1, rows, inputs + hidden], options)?;
    xh.f_narrow(2, 0, inputs)?.f_narrow(0, 0, steps)?.f_copy_(&x.f_transpose(0, 1)?)?;
    let _ = xh.f_narrow(2, inputs, hidden)?.f_select(0, 0)?.f_zero_()?;
    let bias = weights.get(cell.ih.1)?.f_add(weights.get(cell.hh.1)?)?;
    let flat = x.f_transpose(0, 1)?.f_reshape([-1, inputs])?;
    let gates = flat.f_linear(weights.get(cell.ih.0)?, Some(&bias))?.f_view([steps, rows, 4 * hidden])?;
    let cells = Tensor::f_empty([steps + 1, rows, hidden], options)?;
    let _ = cells.f_select(0, 0)?.f_zero_()?;
    let tanh = Tensor::f_empty([steps, rows, hidden], options)?;

    let recurrent = weights.get(cell.hh.0)?.f_tr()?;
    let slice = |first: i64, count: i64| gates.f_narrow(2, first * hidden, count * hidden)?.f_unbind(0);
    let mut whole = gates.f_unbind(0)?;
    let (mut i_and_f, mut g, mut o) = (slice(0, 2)?, slice(2, 1)?, slice(3, 1)?);
    let (i, f) = (slice(0, 1)?, slice(1, 1)?);
    let h = xh.f_narrow(2, inputs, hidden)?.f_unbind(0)?;
    let mut c = cells.f_unbind(0)?;
    let t_views = tanh.f_unbind(0)?;
    for t in 0..steps as usize {
        if t > 0 {
            let _ = whole[t].f_addmm_(&h[t], &recurrent)?;
        }
        let _ = i_and_f[t].f_sigmoid_()?;
        let _ = g[t].f_tanh_()?;
        let _ = o[t].f_sigmoid_()?;
        let _ = c[t].f_mul_out(&c[t + 1], &f[t])?;
        let _ = c[t + 1].f_addcmul_(&i[t], &g[t])?;
        let _ = c[t + 1].f_tanh_out(&t_views[t])?;
        let _ = t_views[t].f_mul_out(&h[t + 1], &o[t])?;
    }
    let output = xh.f_narrow(0, 1, steps)?.f_narrow(2, inputs, hidden)?.f_transpose(0, 1)?.f_contiguous()?;
    let learnt = Learnt::of(cell, weights);
    let xh = xh.f_narrow(0, 0, steps)?;
    Ok((Saved { cell: cell.clone(), learnt, xh, gates, cells, tanh }, output))
}

/// From the gradient of all hidden states to what the weights' gradients are made of, and to the input's if wanted.
pub fn backward(saved: Saved, g: &Tensor, weights: &Weights<'_>, input: bool) -> T<(Option<Part>, Option<Tensor>)> {
    let Saved { cell, learnt, xh, gates, cells, tanh } = saved;
    let hidden = cell.hidden;
    let (steps, rows, _) = gates.size3()?;
    let gate = |t: &Tensor, n: i64| t.f_narrow(2, n * hidden, hidden);
    let (i, f, o, cand) = (gate(&gates, 0)?, gate(&gates, 1)?, gate(&gates, 3)?, gate(&gates, 2)?);
    let q = Tensor::f_empty(gates.size(), (gates.kind(), gates.device()))?;
    let _ = Tensor::f_sigmoid_backward_grad_input(&gate(&q, 0)?, &cand, &i)?;
    let _ = Tensor::f_sigmoid_backward_grad_input(&gate(&q, 1)?, &cells.f_narrow(0, 0, steps)?, &f)?;
    let _ = Tensor::f_tanh_backward_grad_input(&gate(&q, 2)?, &i, &cand)?;
    let _ = Tensor::f_sigmoid_backward_grad_input(&gate(&q, 3)?, &tanh, &o)?;
    let through = Tensor::f_tanh_backward(&o.f_contiguous()?, &tanh)?.f_unbind(0)?;

    // What reaches h from outside, then also from the next step; afterwards all gates' gradients replace q.
    let mut dh = g.f_transpose(0, 1)?.f_contiguous()?.f_unbind(0)?;
    let recurrent = weights.get(cell.hh.0)?;
    let after = q.f_unbind(0)?;
    let mut of_c = q.f_view([steps, rows, 4, hidden])?.f_narrow(2, 0, 3)?.f_unbind(0)?;
    let mut of_h = gate(&q, 3)?.f_unbind(0)?;
    let f = f.f_unbind(0)?;
    let mut dc = Tensor::f_zeros([rows, hidden], (gates.kind(), gates.device()))?;
    let dc_wide = dc.f_unsqueeze(1)?;
    for t in (0..steps as usize).rev() {
        if t + 1 < steps as usize {
            let _ = dh[t].f_addmm_(&after[t + 1], recurrent)?;
        }
        let _ = dc.f_addcmul_(&dh[t], &through[t])?;
        let _ = of_c[t].f_mul_(&dc_wide)?;
        let _ = of_h[t].f_mul_(&dh[t])?;
        if t > 0 {
            let _ = dc.f_mul_(&f[t])?;
        }
    }
    let back = if input {
        let flat = q.f_view([-1, 4 * hidden])?.f_matmul(weights.get(cell.ih.0)?)?;
        Some(flat.f_view([steps, rows, -1])?.f_transpose(0, 1)?)
    } else {
        None
    };
    let inputs = xh.size3()?.2 - hidden;
    let part = learnt.part(&xh.f_transpose(0, 1)?, inputs, q.f_transpose(0, 1)?)?;
    Ok((part, back))
}

/// The same in single operations, for an LSTM inside a body: a probe of zeros gathers g of all steps.
pub fn nested(cell: &Lstm, x: &Tensor, weights: &Weights<'_>, tape: &mut Tape) -> T<Tensor> {
    let rows = x.size3()?.0;
    let hidden = cell.hidden;
    let places = [Some(cell.ih.0), Some(cell.ih.1), Some(cell.hh.0), Some(cell.hh.1)];
    let leaves: [Option<Tensor>; 4] = tape.leaves(weights, places)?;
    let [wi, bi, wh, bh] = &leaves;
    let or = |leaf: &Option<Tensor>, place| match leaf {
        Some(leaf) => Ok(leaf.shallow_clone()),
        None => weights.get(place).map(Tensor::shallow_clone),
    };
    let (wi, bi, wh, bh) = (or(wi, cell.ih.0)?, or(bi, cell.ih.1)?, or(wh, cell.hh.0)?, or(bh, cell.hh.1)?);
    let options = (x.kind(), x.device());
    let mut gates = x.f_linear(&wi, Some(&bi.f_add(&bh)?))?;
    let learnt = Learnt::of(cell, weights);
    let mut probe = None;
    if tape.mode() == Mode::PerRow {
        let zeros = Tensor::f_zeros(gates.size(), options)?.f_set_requires_grad(true)?;
        gates = gates.f_add(&zeros)?;
        probe = Some(zeros);
    }
    let mut h = Tensor::f_zeros([rows, hidden], options)?;
    let mut c = h.shallow_clone();
    let (mut before, mut states) = (Vec::new(), Vec::new());
    for gate in gates.f_unbind(1)? {
        before.push(h.f_detach()?);
        let parts = gate.f_add(&h.f_linear(&wh, None::<&Tensor>)?)?.f_chunk(4, 1)?;
        let [i, f, g, o] = &parts[..] else { return Err(super::broken("an LSTM has four gates")) };
        c = f.f_sigmoid()?.f_mul(&c)?.f_add(&i.f_sigmoid()?.f_mul(&g.f_tanh()?)?)?;
        h = o.f_sigmoid()?.f_mul(&c.f_tanh()?)?;
        states.push(h.shallow_clone());
    }
    let output = Tensor::f_stack(&states, 1)?;
    if let Some(probe) = probe {
        let form = Form::Cell { learnt, a: x.f_detach()?, h: Tensor::f_stack(&before, 1)? };
        let _ = tape.site(form, probe)?;
    }
    Ok(output)
}
