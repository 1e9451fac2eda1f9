//! Every row's own loss, from the network's output and the row's label; what a label is follows from the loss.

use schemas::recipe::Loss;
use tch::{Kind, Reduction, Tensor};

use crate::engine::T;

/// Keeps the quotient of an empty mask at 0.
const SMOOTH: f64 = 1e-5;

/// One loss per row for `output` [rows, …] and labels [rows] or [rows, numbers of the output].
pub fn per_row(loss: &Loss, output: &Tensor, y: &Tensor) -> T<Tensor> {
    match loss {
        Loss::Sum { terms } => {
            let mut sum: Option<Tensor> = None;
            for term in terms {
                let part = per_row(&term.loss, output, y)?.f_mul_scalar(term.weight.value())?;
                sum = Some(match sum {
                    Some(sum) => sum.f_add(&part)?,
                    None => part,
                });
            }
            sum.ok_or_else(|| tch::TchError::Torch("a sum has terms".to_owned()))
        }
        Loss::CrossEntropy { classes } => cross_entropy(output, y, *classes),
        Loss::Focal { classes, alpha, gamma } => {
            let surprise = cross_entropy(output, y, *classes)?;
            // At p = 1 rounding may give a surprise below 0, and a power of it no number.
            let missing = surprise.f_neg()?.f_exp()?.f_neg()?.f_add_scalar(1.0)?.f_clamp_min(0.0)?;
            missing.f_pow_tensor_scalar(gamma.value())?.f_mul(&surprise)?.f_mul_scalar(alpha.value())
        }
        Loss::Dice { sigmoid, squared } => dice(output, y, *sigmoid, *squared),
        _ => {
            let z = output.f_flatten(1, -1)?;
            let y = y.f_reshape_as(&z)?;
            let each = match loss {
                Loss::MeanSquaredError {} => z.f_mse_loss(&y, Reduction::None)?,
                Loss::MeanAbsoluteError {} => z.f_l1_loss(&y, Reduction::None)?,
                Loss::Huber { delta } => z.f_huber_loss(&y, Reduction::None, delta.value())?,
                _ => z.f_binary_cross_entropy_with_logits::<Tensor>(&y, None, None, Reduction::None)?,
            };
            mean(&each)
        }
    }
}

fn mean(each: &Tensor) -> T<Tensor> {
    if each.size2()?.1 == 1 { each.f_reshape([-1]) } else { each.f_mean_dim(1i64, false, None::<Kind>) }
}

/// A class outside the list counts as the nearest one in it; the table's reader gives none such.
fn cross_entropy(output: &Tensor, y: &Tensor, classes: u32) -> T<Tensor> {
    let last = i64::from(classes) - 1;
    let class = y.f_reshape([-1])?.f_nan_to_num(0.0, None, None)?.f_clamp(0.0, last as f64)?.f_to_kind(Kind::Int64)?;
    output.f_cross_entropy_loss::<Tensor>(&class, None, Reduction::None, -100, 0.0)
}

fn dice(output: &Tensor, y: &Tensor, sigmoid: bool, squared: bool) -> T<Tensor> {
    let z = output.f_flatten(1, -1)?;
    let y = y.f_reshape_as(&z)?;
    let p = if sigmoid { z.f_sigmoid()? } else { z };
    let sum = |t: &Tensor| t.f_sum_dim_intlist(1i64, false, None::<Kind>);
    let both = sum(&p.f_mul(&y)?)?.f_mul_scalar(2.0)?.f_add_scalar(SMOOTH)?;
    let (of_p, of_y) = if squared { (sum(&p.f_square()?)?, sum(&y.f_square()?)?) } else { (sum(&p)?, sum(&y)?) };
    both.f_div(&of_p.f_add(&of_y)?.f_add_scalar(SMOOTH)?)?.f_neg()?.f_add_scalar(1.0)
}
