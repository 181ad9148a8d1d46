//! Reads a script: phrases split at commas, each a word, what the word wants, and perhaps a time.

use super::words::parse_time;
use super::{Before, Digits, During, Finally, MAX_STEPS, MAX_TEXT, OnCancel, PromptName, Script, Status, Step, When};
use std::str::FromStr;
use std::time::Duration;

/// What is wrong with a script; each says what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    /// No phrase at all.
    #[error("the script is empty; the least is `answer`")]
    Empty,
    /// Too long.
    #[error("a script holds at most {MAX_STEPS} steps in {MAX_TEXT} bytes")]
    TooLong,
    /// A word the language does not have.
    #[error(
        "`{0}` is no step; the steps are challenge, ring, early, progress, answer, busy, reject, redirect, silent, \
         ring only, say, press, wait, hold, resume, hangup, lost bye, vanish, no rtp, lost ack, cancel, \
         late 200 after cancel"
    )]
    Unknown(String),
    /// A word without what it needs.
    #[error("`{phrase}` wants {wanted}")]
    Wants {
        /// The phrase as written.
        phrase: String,
        /// What is missing.
        wanted: &'static str,
    },
    /// Something after the end of a phrase.
    #[error("`{word}` is left over in `{phrase}`; steps are separated by commas")]
    LeftOver {
        /// The phrase as written.
        phrase: String,
        /// The word.
        word: String,
    },
    /// A step in a phase that it does not belong to.
    #[error("`{phrase}` comes too late: {why}")]
    OutOfOrder {
        /// The phrase as written.
        phrase: String,
        /// The rule.
        why: &'static str,
    },
    /// A time that is none.
    #[error("`{0}` is no time; write 200ms, 1.5s or 2m (at most a day)")]
    Time(String),
    /// A status out of range.
    #[error("`{word}` is no status from {low} to {high}")]
    Status {
        /// As written.
        word: String,
        /// The least.
        low: u16,
        /// The greatest.
        high: u16,
    },
    /// Keys that no telephone has.
    #[error("`{0}` is no string of keys; they are 0-9, *, #, A-D, at most 32")]
    Digits(String),
    /// A name that no prompt can have.
    #[error("`{0}` is no name of a prompt; use letters, digits, dash, dot and underscore")]
    Name(String),
}

impl FromStr for Script {
    type Err = ScriptError;

    fn from_str(text: &str) -> Result<Self, ScriptError> {
        if text.len() > MAX_TEXT {
            return Err(ScriptError::TooLong);
        }
        let text = text.replace(" then ", ",");
        let mut reader = Reader::default();
        for phrase in text.split([',', ';', '\n']).map(str::trim).filter(|phrase| !phrase.is_empty()) {
            reader.phrase(phrase)?;
        }
        reader.finish()
    }
}

impl TryFrom<String> for Script {
    type Error = ScriptError;

    fn try_from(text: String) -> Result<Self, ScriptError> {
        text.parse()
    }
}

/// The words of one phrase that are still to be read.
struct Phrase<'a> {
    text: &'a str,
    words: std::iter::Peekable<std::str::SplitAsciiWhitespace<'a>>,
}

impl<'a> Phrase<'a> {
    fn next(&mut self) -> Option<&'a str> {
        self.words.next()
    }

    fn take(&mut self, word: &str) -> bool {
        self.words.next_if(|next| next.eq_ignore_ascii_case(word)).is_some()
    }

    fn want(&mut self, wanted: &'static str) -> Result<&'a str, ScriptError> {
        self.next().ok_or_else(|| ScriptError::Wants { phrase: self.text.to_owned(), wanted })
    }

    fn expect(&mut self, word: &'static str) -> Result<(), ScriptError> {
        if self.take(word) { Ok(()) } else { Err(ScriptError::Unknown(self.text.to_owned())) }
    }

    fn time(&mut self) -> Result<Duration, ScriptError> {
        parse_time(self.want("a time, like 2s")?)
    }

    /// The time at the end of a phrase; with none, at once.
    fn when(&mut self) -> Result<When, ScriptError> {
        if self.take("after") {
            return self.time().map(When::After);
        }
        match self.words.peek() {
            Some(_) => self.time().map(When::Then),
            None => Ok(When::AT_ONCE),
        }
    }

    /// A prompt's name, unless a time or nothing follows.
    fn name(&mut self) -> Result<Option<PromptName>, ScriptError> {
        let timed = |word: &str| word.eq_ignore_ascii_case("after") || parse_time(word).is_ok();
        match self.words.next_if(|word| !timed(word)) {
            Some(word) => word.parse().map(Some),
            None => Ok(None),
        }
    }

    fn end(mut self) -> Result<(), ScriptError> {
        match self.next() {
            Some(word) => Err(ScriptError::LeftOver { phrase: self.text.to_owned(), word: word.to_owned() }),
            None => Ok(()),
        }
    }
}

/// A script as far as it has been read.
#[derive(Default)]
struct Reader {
    phrases: usize,
    challenge: Option<bool>,
    before: Vec<Step<Before>>,
    finally: Option<Finally>,
    on_cancel: Option<OnCancel>,
    during: Vec<Step<During>>,
    cancel_after: Option<Duration>,
    no_rtp: bool,
    lost_ack: bool,
}

impl Reader {
    fn phrase(&mut self, text: &str) -> Result<(), ScriptError> {
        self.phrases += 1;
        if self.phrases > MAX_STEPS {
            return Err(ScriptError::TooLong);
        }
        let mut phrase = Phrase { text, words: text.split_ascii_whitespace().peekable() };
        let word = phrase.want("a word")?.to_ascii_lowercase();
        let known = self.whole_call(&word, &mut phrase)?
            || self.provisional(&word, &mut phrase)?
            || self.final_answer(&word, &mut phrase)?
            || self.conversation(&word, &mut phrase)?;
        if known { phrase.end() } else { Err(ScriptError::Unknown(text.to_owned())) }
    }

    fn whole_call(&mut self, word: &str, phrase: &mut Phrase<'_>) -> Result<bool, ScriptError> {
        match word {
            "challenge" => self.challenge = Some(true),
            "no" if phrase.take("challenge") => self.challenge = Some(false),
            "no" => {
                phrase.expect("rtp")?;
                self.no_rtp = true;
            }
            "lost" if phrase.take("ack") => self.lost_ack = true,
            "cancel" => {
                phrase.take("after");
                self.cancel_after = Some(phrase.time()?);
            }
            "late" => {
                phrase.expect("200")?;
                phrase.expect("after")?;
                phrase.expect("cancel")?;
                let delay = if phrase.words.peek().is_some() { phrase.time()? } else { Duration::ZERO };
                self.on_cancel = Some(OnCancel::Answer(delay));
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn provisional(&mut self, word: &str, phrase: &mut Phrase<'_>) -> Result<bool, ScriptError> {
        let act = match word {
            "ring" if phrase.take("only") => {
                self.before(phrase, Step { when: When::AT_ONCE, act: Before::Ring })?;
                self.settle(phrase, Finally::Never)?;
                return Ok(true);
            }
            "ring" => Before::Ring,
            "early" => Before::Early(phrase.name()?),
            "progress" => Before::Progress(Status::provisional(phrase.want("a status, like 181")?)?),
            _ => return Ok(false),
        };
        let when = phrase.when()?;
        self.before(phrase, Step { when, act })?;
        Ok(true)
    }

    fn final_answer(&mut self, word: &str, phrase: &mut Phrase<'_>) -> Result<bool, ScriptError> {
        let finally = match word {
            "answer" => Finally::Answer(phrase.when()?),
            "busy" => failure(Status::BUSY_HERE, phrase)?,
            "timeout" => failure(Status::REQUEST_TIMEOUT, phrase)?,
            "unavailable" => failure(Status::TEMPORARILY_UNAVAILABLE, phrase)?,
            "overloaded" => failure(Status::SERVICE_UNAVAILABLE, phrase)?,
            "decline" => failure(Status::DECLINE, phrase)?,
            "not" => {
                phrase.expect("found")?;
                failure(Status::NOT_FOUND, phrase)?
            }
            "reject" => failure(Status::failure(phrase.want("a status, like 486")?)?, phrase)?,
            "redirect" => {
                let to = phrase.want("a URI")?.to_owned();
                Finally::Redirect { to, when: phrase.when()? }
            }
            "trying" => {
                phrase.expect("only")?;
                Finally::Never
            }
            "silent" => Finally::Silent,
            _ => return Ok(false),
        };
        self.settle(phrase, finally)?;
        Ok(true)
    }

    fn conversation(&mut self, word: &str, phrase: &mut Phrase<'_>) -> Result<bool, ScriptError> {
        let act = match word {
            "say" => {
                let prompt = phrase.want("the name of a prompt")?.parse()?;
                During::Say { prompt, repeat: phrase.take("loop") }
            }
            "press" => During::Press(Digits::from_str(phrase.want("keys, like 1")?)?),
            "wait" => During::Wait,
            "hold" => During::Hold,
            "resume" => During::Resume,
            "hangup" => During::Hangup,
            "lost" if phrase.take("bye") => During::LostBye,
            "vanish" => During::Vanish,
            _ => return Ok(false),
        };
        let when = phrase.when()?;
        self.during(phrase, Step { when, act })?;
        Ok(true)
    }

    fn before(&mut self, phrase: &Phrase<'_>, step: Step<Before>) -> Result<(), ScriptError> {
        if self.finally.is_some() || !self.during.is_empty() {
            return Err(out_of_order(phrase, "it belongs before the final answer"));
        }
        self.before.push(step);
        Ok(())
    }

    fn settle(&mut self, phrase: &Phrase<'_>, finally: Finally) -> Result<(), ScriptError> {
        if self.finally.is_some() {
            return Err(out_of_order(phrase, "an INVITE has one final answer"));
        }
        if !self.during.is_empty() {
            return Err(out_of_order(phrase, "the call is already under way"));
        }
        self.finally = Some(finally);
        Ok(())
    }

    fn during(&mut self, phrase: &Phrase<'_>, step: Step<During>) -> Result<(), ScriptError> {
        let answers = matches!(self.finally, None | Some(Finally::Answer(_))) || self.on_cancel.is_some();
        if !answers {
            return Err(out_of_order(phrase, "the call is never answered"));
        }
        if self.during.last().is_some_and(|last| last.act.is_last()) {
            return Err(out_of_order(phrase, "the call is over"));
        }
        self.during.push(step);
        Ok(())
    }

    fn finish(self) -> Result<Script, ScriptError> {
        if self.phrases == 0 {
            return Err(ScriptError::Empty);
        }
        let finally = match (self.finally, self.on_cancel) {
            (Some(finally), _) => finally,
            (None, Some(_)) => Finally::Never,
            (None, None) => Finally::Answer(When::AT_ONCE),
        };
        Ok(Script {
            challenge: self.challenge,
            before: self.before,
            finally,
            on_cancel: self.on_cancel.unwrap_or(OnCancel::Terminate),
            during: self.during,
            cancel_after: self.cancel_after,
            sends_rtp: !self.no_rtp,
            lost_ack: self.lost_ack,
        })
    }
}

impl During {
    /// True where nothing can follow.
    const fn is_last(&self) -> bool {
        matches!(self, Self::Hangup | Self::LostBye | Self::Vanish)
    }
}

fn failure(status: Status, phrase: &mut Phrase<'_>) -> Result<Finally, ScriptError> {
    let retry_after = if phrase.take("retry") { Some(phrase.time()?) } else { None };
    Ok(Finally::Reject { when: phrase.when()?, status, retry_after })
}

fn out_of_order(phrase: &Phrase<'_>, why: &'static str) -> ScriptError {
    ScriptError::OutOfOrder { phrase: phrase.text.to_owned(), why }
}
