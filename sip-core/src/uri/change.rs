//! Making URIs, and making one of another. What is put in is plain text and is escaped here.

use super::parse::scheme_of;
use super::{Host, Scheme, Span, Uri, escape};
use std::borrow::Cow;
use std::fmt::Write as _;

impl Uri {
    /// A SIP URI. The user is plain text and is escaped as needed; without one, `None`.
    #[must_use]
    pub fn sip(user: Option<&str>, host: impl Into<Host>, port: Option<u16>) -> Self {
        Self::assemble("sip", user.map(|user| escape::escape(user, escape::is_user)), host.into(), port)
    }

    /// A SIPS URI, else as [`Uri::sip`].
    #[must_use]
    pub fn sips(user: Option<&str>, host: impl Into<Host>, port: Option<u16>) -> Self {
        Self::assemble("sips", user.map(|user| escape::escape(user, escape::is_user)), host.into(), port)
    }

    fn assemble(scheme: &str, user: Option<Cow<'_, str>>, host: Host, port: Option<u16>) -> Self {
        let user = user.filter(|user| !user.is_empty());
        let mut text = String::with_capacity(64);
        text.push_str(scheme);
        text.push(':');
        let start = text.len();
        let user = user.map(|user| {
            text.push_str(&user);
            text.push('@');
            Span::new(start, text.len() - 1)
        });
        // A String takes all that is written.
        let _ = match port {
            Some(port) => write!(text, "{host}:{port}"),
            None => write!(text, "{host}"),
        };
        let end = text.len();
        Self {
            text: text.into(),
            scheme: scheme_of(scheme.as_bytes()),
            user,
            password: None,
            host: Some(host),
            port,
            params: Span::new(end, end),
            headers: None,
        }
    }

    /// This with another user: plain text, escaped as needed; `None` takes it away, with the password. Unchanged where it
    /// is no SIP URI.
    #[must_use]
    pub fn with_user(self, user: Option<&str>) -> Self {
        self.with_user_text(user.map(|user| escape::escape(user, escape::is_user).into_owned()))
    }

    /// This with a parameter set, in place of any of that name; name and value are escaped as needed. Unchanged where the
    /// name is empty or the scheme unknown.
    #[must_use]
    pub fn with_param(self, name: &str, value: Option<&str>) -> Self {
        if name.is_empty() {
            return self;
        }
        let kept = self.without_param(name);
        let mut params = kept.params.of(&kept.text).to_owned();
        params.push(';');
        params.push_str(&escape::escape(name, escape::is_param));
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            params.push('=');
            params.push_str(&escape::escape(value, escape::is_param));
        }
        kept.with_params(&params)
    }

    /// This without a parameter.
    #[must_use]
    pub fn without_param(self, name: &str) -> Self {
        let mut params = String::new();
        for (given, value) in self.params().filter(|(given, _)| !given.eq_ignore_ascii_case(name)) {
            params.push(';');
            params.push_str(given);
            if let Some(value) = value {
                params.push('=');
                params.push_str(value);
            }
        }
        self.with_params(&params)
    }

    /// This without what stands after `?`: what may be used as a Request-URI (RFC 3261 §19.1.1, table 1).
    #[must_use]
    pub fn without_headers(mut self) -> Self {
        if self.headers.take().is_some() {
            self.text = self.text[..self.params.end].into();
        }
        self
    }

    /// This with these parameters, already escaped and each with its `;`.
    fn with_params(self, params: &str) -> Self {
        if self.scheme == Scheme::Other {
            return self;
        }
        let Span { start, end } = self.params;
        let text = format!("{}{params}{}", &self.text[..start], &self.text[end..]);
        let params = Span::new(start, start + params.len());
        let headers = self.headers.map(|_| Span::new(params.end + 1, text.len()));
        Self { params, headers, text: text.into(), ..self }
    }

    /// This with the user part of another URI, escapes and all; its password is not taken.
    #[must_use]
    pub fn with_user_of(self, other: &Self) -> Self {
        let user = other.user().map(|user| escape::escape(user, |b| escape::is_user(b) || b == b'%').into_owned());
        self.with_user_text(user)
    }

    fn with_user_text(self, user: Option<String>) -> Self {
        let Some(host) = self.host.clone().filter(|_| self.is_sip()) else { return self };
        let scheme = if self.scheme == Scheme::Sips { "sips" } else { "sip" };
        let mut uri =
            Self::assemble(scheme, user.map(Cow::Owned), host, self.port).with_params(self.params.of(&self.text));
        if let Some(headers) = self.headers {
            let start = uri.text.len() + 1;
            uri.text = format!("{}?{}", uri.text, headers.of(&self.text)).into();
            uri.headers = Some(Span::new(start, uri.text.len()));
        }
        uri
    }
}
