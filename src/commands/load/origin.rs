//! Where figures come from: the command line, the machine and the versions. Without them a figure is a rumour.

use serde::Serialize;
use std::time::SystemTime;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// See the head of this file.
#[derive(Clone, Debug, Serialize)]
pub struct Origin {
    /// Of this program.
    pub version: &'static str,
    /// The command line, its password left out.
    pub command: String,
    /// When it began, RFC 3339.
    pub began: String,
    /// The processor, and how many of its kind.
    pub processor: String,
    /// The kernel.
    pub kernel: String,
    /// Memory of the machine, in bytes.
    pub memory_bytes: u64,
}

impl Origin {
    /// Here and now.
    pub fn here() -> Self {
        let now = OffsetDateTime::from(SystemTime::now());
        let now = now.replace_nanosecond(0).unwrap_or(now);
        let read = |file| std::fs::read_to_string(file).unwrap_or_default();
        // Those of the machine, also where this process may not use all of them.
        let processors = read("/proc/cpuinfo");
        let cores = processors.lines().filter(|line| line.starts_with("processor")).count().max(1);
        let model = field(&processors, "model name").unwrap_or_else(|| "unknown processor".to_owned());
        let kilobytes = field(&read("/proc/meminfo"), "MemTotal").unwrap_or_default();
        let kilobytes = kilobytes.split_whitespace().next().and_then(|number| number.parse::<u64>().ok());
        Self {
            version: env!("CARGO_PKG_VERSION"),
            command: command(std::env::args()),
            began: now.format(&Rfc3339).unwrap_or_default(),
            processor: format!("{cores} × {model}"),
            kernel: format!("Linux {}", read("/proc/sys/kernel/osrelease").trim()),
            memory_bytes: kilobytes.unwrap_or(0) * 1_024,
        }
    }
}

/// The value behind the first colon of the line that begins so.
fn field(text: &str, name: &str) -> Option<String> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// As it could be typed again, but for the password.
fn command(args: impl Iterator<Item = String>) -> String {
    let mut said = Vec::new();
    let mut is_secret = false;
    for arg in args {
        let arg = match arg.split_once('=') {
            _ if std::mem::take(&mut is_secret) => "…".to_owned(),
            Some(("--password", _)) => "--password=…".to_owned(),
            _ => arg,
        };
        is_secret = arg == "--password";
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@,=+%…".contains(c);
        said.push(if arg.chars().all(plain) && !arg.is_empty() { arg } else { format!("'{arg}'") });
    }
    said.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_in_no_report() {
        let said = |args: &[&str]| command(args.iter().map(|arg| (*arg).to_owned()));
        assert_eq!(said(&["tandem", "--password", "s3cret", "--rate", "5"]), "tandem --password … --rate 5");
        assert_eq!(
            said(&["tandem", "--password=s3cret", "sip:a@b;transport=tcp"]),
            "tandem --password=… 'sip:a@b;transport=tcp'"
        );
    }

    #[test]
    fn a_field_is_what_stands_behind_its_colon() {
        assert_eq!(field("a : 1\nmodel name\t: Xeon: fast\n", "model name"), Some("Xeon: fast".to_owned()));
        assert_eq!(field("a : 1", "b"), None);
    }
}
