//! Writes a script back in its own words, so that a report or a log can name what was run.

use super::words::Time;
use super::{Before, During, Finally, OnCancel, Script, Step, When};
use std::fmt::{self, Display, Formatter};

impl From<Script> for String {
    fn from(script: Script) -> Self {
        script.to_string()
    }
}

impl Display for Script {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.challenge {
            Some(true) => f.write_str("challenge, ")?,
            Some(false) => f.write_str("no challenge, ")?,
            None => {}
        }
        if let Some(patience) = self.cancel_after {
            write!(f, "cancel after {}, ", Time(patience))?;
        }
        if !self.sends_rtp {
            f.write_str("no rtp, ")?;
        }
        if self.lost_ack {
            f.write_str("lost ack, ")?;
        }
        if let OnCancel::Answer(delay) = self.on_cancel {
            write!(f, "late 200 after cancel {}, ", Time(delay))?;
        }
        for step in &self.before {
            write!(f, "{step}, ")?;
        }
        self.finally.fmt(f)?;
        self.during.iter().try_for_each(|step| write!(f, ", {step}"))
    }
}

impl<A: Display> Display for Step<A> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.act, self.when)
    }
}

/// With the space before it; nothing where the step is taken at once.
impl Display for When {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            &Self::AT_ONCE => Ok(()),
            Self::Then(time) => write!(f, " {}", Time(*time)),
            Self::After(time) => write!(f, " after {}", Time(*time)),
        }
    }
}

impl Display for Before {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ring => f.write_str("ring"),
            Self::Early(None) => f.write_str("early"),
            Self::Early(Some(prompt)) => write!(f, "early {}", prompt.as_str()),
            Self::Progress(status) => write!(f, "progress {status}"),
        }
    }
}

impl Display for Finally {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer(when) => write!(f, "answer{when}"),
            Self::Reject { when, status, retry_after: None } => write!(f, "reject {status}{when}"),
            Self::Reject { when, status, retry_after: Some(rest) } => {
                write!(f, "reject {status} retry {}{when}", Time(*rest))
            }
            Self::Redirect { when, to } => write!(f, "redirect {to}{when}"),
            Self::Never => f.write_str("trying only"),
            Self::Silent => f.write_str("silent"),
        }
    }
}

impl Display for During {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Say { prompt, repeat: false } => write!(f, "say {}", prompt.as_str()),
            Self::Say { prompt, repeat: true } => write!(f, "say {} loop", prompt.as_str()),
            Self::Press(digits) => write!(f, "press {}", digits.as_str()),
            Self::Wait => f.write_str("wait"),
            Self::Hold => f.write_str("hold"),
            Self::Resume => f.write_str("resume"),
            Self::Hangup => f.write_str("hangup"),
            Self::LostBye => f.write_str("lost bye"),
            Self::Vanish => f.write_str("vanish"),
        }
    }
}
