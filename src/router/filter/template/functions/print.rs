//! Values as text.

use std::fmt::Write as _;
use std::iter::Peekable;
use std::str::Chars;

use super::super::super::json;
use super::super::Halt;
use super::super::value::{Meter, Number, Value};
use super::{Function, MANY, failed, number, text, whole};

pub(super) static FUNCTIONS: [Function; 9] = [
    Function::eager("print", 0, MANY, print),
    Function::eager("println", 0, MANY, |meter, arguments| {
        let shown: Result<Vec<_>, Halt> = arguments.iter().map(|value| value.show(meter)).collect();
        meter.text(shown?.join(" ") + "\n")
    }),
    Function::eager("printf", 1, MANY, printf),
    Function::eager("toString", 1, 1, |meter, arguments| {
        let shown = text(&arguments[0], meter)?;
        meter.text(shown.into_owned())
    }),
    Function::eager("toJson", 1, 1, |meter, arguments| {
        let json = arguments[0].json(meter)?;
        meter.text(json)
    }),
    Function::eager("fromJson", 1, 1, from_json),
    Function::eager("quote", 1, MANY, |meter, arguments| quoted(meter, arguments, |text| format!("{text:?}"))),
    Function::eager("squote", 1, MANY, |meter, arguments| quoted(meter, arguments, |text| format!("'{text}'"))),
    Function::eager("cat", 1, MANY, |meter, arguments| {
        let shown = arguments.iter().filter(|value| !matches!(value, Value::None)).map(|value| value.show(meter));
        let shown: Result<Vec<_>, Halt> = shown.collect();
        meter.text(shown?.join(" "))
    }),
];

/// Go's: a space between two values of which neither is a text.
fn print<'a>(meter: &Meter, arguments: &[Value<'a>]) -> Result<Value<'a>, Halt> {
    let mut out = String::new();
    for (at, value) in arguments.iter().enumerate() {
        let is_text = |value: &Value<'_>| matches!(value, Value::Text(_));
        if at > 0 && !is_text(value) && !is_text(&arguments[at - 1]) {
            out.push(' ');
        }
        out.push_str(&value.show(meter)?);
    }
    meter.text(out)
}

fn quoted<'a>(meter: &Meter, arguments: &[Value<'a>], quote: fn(&str) -> String) -> Result<Value<'a>, Halt> {
    let there = arguments.iter().filter(|value| !matches!(value, Value::None));
    let quoted: Result<Vec<String>, Halt> = there.map(|value| Ok(quote(&text(value, meter)?))).collect();
    meter.text(quoted?.join(" "))
}

fn from_json<'a>(meter: &Meter, arguments: &[Value<'a>]) -> Result<Value<'a>, Halt> {
    let text = text(&arguments[0], meter)?;
    meter.charge(text.len())?;
    if json::check(&text).is_err() {
        return failed("the text is no JSON");
    }
    Ok(Value::of_json(text.trim().to_owned().into()))
}

/// The widest that a value is made.
const MAX_WIDTH: usize = 1000;

#[derive(Default)]
struct Verb {
    left: bool,
    zeros: bool,
    width: usize,
    precision: Option<usize>,
}

impl Verb {
    fn read(chars: &mut Peekable<Chars<'_>>) -> Result<Self, Halt> {
        let mut verb = Self::default();
        while let Some(flag) = chars.next_if(|c| matches!(c, '-' | '0')) {
            if flag == '-' {
                verb.left = true;
            } else {
                verb.zeros = true;
            }
        }
        verb.width = digits(chars)?.unwrap_or(0);
        if chars.next_if_eq(&'.').is_some() {
            verb.precision = Some(digits(chars)?.unwrap_or(0));
        }
        Ok(verb)
    }

    fn pad(&self, text: &str, out: &mut String) {
        let missing = self.width.saturating_sub(text.chars().count());
        if self.left {
            out.push_str(text);
            out.extend(std::iter::repeat_n(' ', missing));
        } else if self.zeros {
            let (sign, digits) = text.strip_prefix('-').map_or(("", text), |digits| ("-", digits));
            out.push_str(sign);
            out.extend(std::iter::repeat_n('0', missing));
            out.push_str(digits);
        } else {
            out.extend(std::iter::repeat_n(' ', missing));
            out.push_str(text);
        }
    }
}

fn digits(chars: &mut Peekable<Chars<'_>>) -> Result<Option<usize>, Halt> {
    let mut number: Option<usize> = None;
    while let Some(digit) = chars.next_if(char::is_ascii_digit).and_then(|c| c.to_digit(10)) {
        let so_far = number.unwrap_or(0).saturating_mul(10).saturating_add(digit as usize);
        if so_far > MAX_WIDTH {
            return failed(format!("a width is at most {MAX_WIDTH}"));
        }
        number = Some(so_far);
    }
    Ok(number)
}

fn printf<'a>(meter: &Meter, arguments: &[Value<'a>]) -> Result<Value<'a>, Halt> {
    let format = text(&arguments[0], meter)?;
    let (mut out, mut values, mut chars) = (String::new(), arguments[1..].iter(), format.chars().peekable());
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        if chars.next_if_eq(&'%').is_some() {
            out.push('%');
            continue;
        }
        let verb = Verb::read(&mut chars)?;
        let Some(letter) = chars.next() else { return failed("the format ends within a verb") };
        let Some(value) = values.next() else { return failed("the format has more verbs than there are values") };
        let shown = shown(letter, &verb, value, meter)?;
        meter.charge(shown.len() + verb.width)?;
        verb.pad(&shown, &mut out);
    }
    if values.next().is_some() {
        return failed("there are more values than the format has verbs");
    }
    meter.text(out)
}

fn shown(letter: char, verb: &Verb, value: &Value<'_>, meter: &Meter) -> Result<String, Halt> {
    let cut = |text: &str| verb.precision.map_or_else(|| text.to_owned(), |most| text.chars().take(most).collect());
    Ok(match letter {
        's' => cut(&value.show(meter)?),
        'v' => value.show(meter)?.into_owned(),
        'q' => format!("{:?}", cut(&text(value, meter)?)),
        'd' => whole(value)?.to_string(),
        't' => match value {
            Value::Bool(truth) => truth.to_string(),
            other => return failed(format!("{} is no truth", other.kind())),
        },
        'f' => format!("{:.*}", verb.precision.unwrap_or(6), number(value)?.float()),
        'x' | 'X' => {
            let hex = match value {
                Value::Text(text) => text.bytes().fold(String::new(), |mut hex, byte| {
                    // A string can always be written to.
                    write!(hex, "{byte:02x}").unwrap_or_default();
                    hex
                }),
                other => match number(other)? {
                    Number::Int(number) if number >= 0 => format!("{number:x}"),
                    _ => return failed("only whole numbers that are not negative, and texts, are written in hex"),
                },
            };
            if letter == 'X' { hex.to_uppercase() } else { hex }
        }
        other => return failed(format!("%{other} is not known: there are %s %v %q %d %t %f %x %X %%")),
    })
}
