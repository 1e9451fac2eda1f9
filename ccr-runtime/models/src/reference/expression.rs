//! The arithmetic of a composed loss: names, numbers, parentheses, + − * / ** and signs; no calls, nothing else.
//!
//! It is worked out on symbols, not on numbers: what remains is a weighted sum of losses, or nothing that is known.

use schemas::recipe::Loss;
use schemas::{Code, R, Refusal};

/// Characters of an expression.
const MAX_LENGTH: usize = 1_000;
/// Parentheses and signs inside one another.
const MAX_DEPTH: usize = 32;

/// What a part of an expression stands for.
#[derive(Clone, PartialEq, Debug)]
pub enum Symbol {
    /// A constant.
    Number(f64),
    /// A weighted sum of losses, each with the component it came from.
    Losses(Vec<(f64, String, Loss)>),
    /// e^−l of the component l, a cross-entropy: the probability of the label's class.
    Probability(String),
    /// factor · (1 − p)^power with the probability of that component.
    Complement {
        /// The component.
        of: String,
        /// The exponent.
        power: f64,
        /// The factor.
        factor: f64,
    },
}

/// Works an expression out; `name` says what a name stands for.
///
/// # Errors
/// `MODEL_FORM` for what cannot be read or means nothing here.
pub fn evaluate(text: &str, name: &mut dyn FnMut(&str) -> R<Symbol>) -> R<Symbol> {
    if text.len() > MAX_LENGTH {
        return Err(refuse(format!("an expression has at most {MAX_LENGTH} characters")));
    }
    let mut parser = Parser { tokens: tokens(text)?, at: 0, depth: 0, name };
    let symbol = parser.sum()?;
    match parser.peek() {
        None => Ok(symbol),
        Some(token) => Err(refuse(format!("{token:?} stands where nothing is expected"))),
    }
}

fn refuse(sentence: impl Into<String>) -> Refusal {
    Refusal::new(Code::ModelForm, sentence).at("loss_config.expression")
}

#[derive(Clone, PartialEq, Debug)]
enum Token {
    Number(f64),
    Name(String),
    Sign(&'static str),
}

fn tokens(text: &str) -> R<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let run = |holds: fn(char) -> bool| rest.find(|c: char| !holds(c)).unwrap_or(rest.len());
        let length = if first.is_ascii_digit() || first == '.' {
            let length = run(|c| c.is_ascii_digit() || c == '.');
            let number = rest[..length].parse().map_err(|_| refuse(format!("{} is no number", &rest[..length])))?;
            tokens.push(Token::Number(number));
            length
        } else if first.is_ascii_alphabetic() || first == '_' {
            let length = run(|c| c.is_ascii_alphanumeric() || c == '_');
            tokens.push(Token::Name(rest[..length].to_owned()));
            length
        } else {
            let sign = ["**", "+", "-", "*", "/", "(", ")"].into_iter().find(|sign| rest.starts_with(sign));
            let unknown = || refuse("only names, numbers, parentheses and + - * / ** stand in an expression");
            let sign = sign.ok_or_else(unknown)?;
            tokens.push(Token::Sign(sign));
            sign.len()
        };
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

struct Parser<'a> {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
    name: &'a mut dyn FnMut(&str) -> R<Symbol>,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    /// Takes the sign if it is next.
    fn took(&mut self, sign: &str) -> bool {
        let next = matches!(self.peek(), Some(Token::Sign(s)) if *s == sign);
        self.at += usize::from(next);
        next
    }

    fn sum(&mut self) -> R<Symbol> {
        let mut left = self.product()?;
        loop {
            if self.took("+") {
                left = left.plus(self.product()?)?;
            } else if self.took("-") {
                left = left.plus(self.product()?.scaled(-1.0)?)?;
            } else {
                return Ok(left);
            }
        }
    }

    fn product(&mut self) -> R<Symbol> {
        let mut left = self.signed()?;
        loop {
            if self.took("*") {
                left = left.times(self.signed()?)?;
            } else if self.took("/") {
                let Symbol::Number(by) = self.signed()? else { return Err(refuse("only a number divides")) };
                left = left.scaled(1.0 / by)?;
            } else {
                return Ok(left);
            }
        }
    }

    fn signed(&mut self) -> R<Symbol> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(refuse(format!("an expression nests at most {MAX_DEPTH} deep")));
        }
        let symbol = if self.took("-") {
            self.signed()?.scaled(-1.0)
        } else if self.took("+") {
            self.signed()
        } else {
            self.power()
        };
        self.depth -= 1;
        symbol
    }

    fn power(&mut self) -> R<Symbol> {
        let base = self.atom()?;
        if !self.took("**") {
            return Ok(base);
        }
        let Symbol::Number(exponent) = self.signed()? else { return Err(refuse("only a number is an exponent")) };
        base.raised(exponent)
    }

    fn atom(&mut self) -> R<Symbol> {
        if self.took("(") {
            let inner = self.sum()?;
            return if self.took(")") { Ok(inner) } else { Err(refuse("a parenthesis is not closed")) };
        }
        let token = self.peek().cloned();
        self.at += 1;
        match token {
            Some(Token::Number(number)) => Ok(Symbol::Number(number)),
            Some(Token::Name(name)) => (self.name)(&name),
            _ => Err(refuse("a name or number is missing")),
        }
    }
}

impl Symbol {
    fn scaled(self, by: f64) -> R<Symbol> {
        if !by.is_finite() {
            return Err(refuse("a factor is no number"));
        }
        Ok(match self {
            Symbol::Number(number) => Symbol::Number(number * by),
            Symbol::Losses(terms) => Symbol::Losses(terms.into_iter().map(|(w, name, l)| (w * by, name, l)).collect()),
            Symbol::Complement { of, power, factor } => Symbol::Complement { of, power, factor: factor * by },
            Symbol::Probability(_) if by == 1.0 => self,
            // Only 1 − p is known; the minus is carried as a factor of power 0.
            Symbol::Probability(of) if by == -1.0 => Symbol::Complement { of, power: 0.0, factor: f64::NAN },
            Symbol::Probability(_) => return Err(meaningless()),
        })
    }

    fn plus(self, other: Symbol) -> R<Symbol> {
        match (self, other) {
            (Symbol::Number(one), Symbol::Number(other)) => Ok(Symbol::Number(one + other)),
            (Symbol::Losses(mut one), Symbol::Losses(other)) => {
                one.extend(other);
                Ok(Symbol::Losses(one))
            }
            (Symbol::Number(1.0), Symbol::Complement { of, factor, .. })
            | (Symbol::Complement { of, factor, .. }, Symbol::Number(1.0))
                if factor.is_nan() =>
            {
                Ok(Symbol::Complement { of, power: 1.0, factor: 1.0 })
            }
            _ => Err(meaningless()),
        }
    }

    fn times(self, other: Symbol) -> R<Symbol> {
        match (self, other) {
            (Symbol::Number(by), symbol) | (symbol, Symbol::Number(by)) => symbol.scaled(by),
            (Symbol::Complement { of, power, factor }, Symbol::Losses(terms))
            | (Symbol::Losses(terms), Symbol::Complement { of, power, factor }) => focal(&of, power, factor, terms),
            _ => Err(meaningless()),
        }
    }

    fn raised(self, exponent: f64) -> R<Symbol> {
        match self {
            Symbol::Number(number) => Ok(Symbol::Number(number.powf(exponent))),
            Symbol::Complement { of, power: 1.0, factor: 1.0 } => {
                Ok(Symbol::Complement { of, power: exponent, factor: 1.0 })
            }
            _ => Err(meaningless()),
        }
    }
}

fn meaningless() -> Refusal {
    refuse("an expression comes to a weighted sum of losses, or to alpha * (1 - pt)**gamma * ce_loss")
}

/// (1 − p)^γ times its own cross-entropy is the focal loss.
fn focal(of: &str, gamma: f64, factor: f64, terms: Vec<(f64, String, Loss)>) -> R<Symbol> {
    let [(weight, name, Loss::CrossEntropy { classes })] = terms.as_slice() else { return Err(meaningless()) };
    let alpha = super::params::real(factor * weight);
    let (Some(alpha), Some(gamma), true) = (alpha, super::params::real(gamma), name == of) else {
        return Err(meaningless());
    };
    Ok(Symbol::Losses(vec![(1.0, name.clone(), Loss::Focal { classes: *classes, alpha, gamma })]))
}
