//! Shares of a whole.

use std::borrow::Cow;

use serde_json::json;

use super::{
    super::{code, describe::About, report::Report},
    Leaf, Written,
};
use crate::model::Share;

/// A percentage, in steps of a ten-thousandth of a percent.
impl Leaf for Share {
    fn read(written: &Written<'_>, report: &mut Report) -> Option<Self> {
        share(written.text).or_else(|| {
            let (what, shown) = (written.what, written.shown());
            let message = format!("{what} must be a share from `0%` to `100%`, such as `10%` or `0.5%`; not {shown}");
            written.fault(code::INVALID_VALUE, message, None, report)
        })
    }

    fn about() -> About {
        let meaning = "A share from `0%` to `100%`, with at most four decimal places: `10%`, `0.5%`.";
        let schema = json!({"type": "string", "pattern": r"^([0-9]{1,2}(\.[0-9]{1,4})?|100(\.0{1,4})?)%$"});
        About { name: "share", meaning, schema, example: json!("10%"), words: Vec::new() }
    }

    fn text(&self) -> Cow<'_, str> {
        let (whole, rest) = (self.millionths() / 10_000, self.millionths() % 10_000);
        if rest == 0 {
            return format!("{whole}%").into();
        }
        format!("{whole}.{}%", format!("{rest:04}").trim_end_matches('0')).into()
    }
}

fn share(text: &str) -> Option<Share> {
    let number = text.strip_suffix('%')?;
    let (whole, decimals) = number.split_once('.').map_or((number, None), |(whole, decimals)| (whole, Some(decimals)));
    let is_number =
        |text: &str, longest| (1..=longest).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole, 3) || decimals.is_some_and(|decimals| !is_number(decimals, 4)) {
        return None;
    }
    let decimals: u32 = format!("{:0<4}", decimals.unwrap_or_default()).parse().ok()?;
    Share::of_millionths(whole.parse::<u32>().ok()? * 10_000 + decimals)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_read_and_written() {
        for (text, millionths) in [
            ("0%", 0),
            ("10%", 100_000),
            ("0.5%", 5_000),
            ("99.9999%", 999_999),
            ("100%", 1_000_000),
            ("7.25%", 72_500),
        ] {
            let share = share(text);
            assert_eq!(share.map(Share::millionths), Some(millionths), "{text}");
            assert_eq!(share.map(|share| share.text().into_owned()).as_deref(), Some(text));
        }
        assert_eq!(share("100.0%"), Some(Share::ALL));
        for wrong in ["", "%", "10", "-1%", "101%", "100.0001%", "1e1%", ".5%", "5.%", "0.00001%", " 1%", "+1%"] {
            assert_eq!(share(wrong), None, "{wrong}");
        }
    }
}
