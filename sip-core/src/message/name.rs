//! Header field names: the ones the switch acts on, as a value that the index can hold (RFC 3261 §7.3.1, §20).

use std::fmt;

macro_rules! names {
    ($($variant:ident $text:literal $($compact:literal)?)*) => {
        /// A header field name. Compact forms and any case are the same name; one that is not listed is `Other`, and is
        /// reached by its text ([`super::Message::header_named`]).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Name {
            $(
                #[doc = concat!("`", $text, "`.")]
                $variant,
            )*
            /// Any other.
            Other,
        }

        impl Name {
            /// The name as it is written; empty for [`Name::Other`].
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                    Self::Other => "",
                }
            }

            #[cfg(test)]
            pub(super) const ALL: &'static [Self] = &[$(Self::$variant),*];
        }

        /// `(text, compact form or "", name)`: what the lookup is made of.
        pub(super) const TABLE: &[(&str, &str, Name)] = &[$(($text, concat!($($compact)?), Name::$variant)),*];
    };
}

names! {
    Via "Via" "v"
    From "From" "f"
    To "To" "t"
    CallId "Call-ID" "i"
    CSeq "CSeq"
    Contact "Contact" "m"
    MaxForwards "Max-Forwards"
    Route "Route"
    RecordRoute "Record-Route"
    ContentLength "Content-Length" "l"
    ContentType "Content-Type" "c"
    ContentEncoding "Content-Encoding" "e"
    ContentDisposition "Content-Disposition"
    Authorization "Authorization"
    ProxyAuthorization "Proxy-Authorization"
    WwwAuthenticate "WWW-Authenticate"
    ProxyAuthenticate "Proxy-Authenticate"
    AuthenticationInfo "Authentication-Info"
    Allow "Allow"
    AllowEvents "Allow-Events" "u"
    Supported "Supported" "k"
    Require "Require"
    ProxyRequire "Proxy-Require"
    Unsupported "Unsupported"
    Accept "Accept"
    AcceptEncoding "Accept-Encoding"
    AcceptLanguage "Accept-Language"
    AcceptContact "Accept-Contact" "a"
    RejectContact "Reject-Contact" "j"
    RequestDisposition "Request-Disposition" "d"
    AlertInfo "Alert-Info"
    CallInfo "Call-Info"
    Expires "Expires"
    MinExpires "Min-Expires"
    RetryAfter "Retry-After"
    UserAgent "User-Agent"
    Server "Server"
    Organization "Organization"
    Subject "Subject" "s"
    Reason "Reason"
    Warning "Warning"
    Date "Date"
    Timestamp "Timestamp"
    MimeVersion "MIME-Version"
    InReplyTo "In-Reply-To"
    ReplyTo "Reply-To"
    PAssertedIdentity "P-Asserted-Identity"
    PPreferredIdentity "P-Preferred-Identity"
    PChargingVector "P-Charging-Vector"
    PEarlyMedia "P-Early-Media"
    RemotePartyId "Remote-Party-ID"
    Privacy "Privacy"
    Diversion "Diversion"
    HistoryInfo "History-Info"
    ReferTo "Refer-To" "r"
    ReferredBy "Referred-By" "b"
    ReferSub "Refer-Sub"
    TargetDialog "Target-Dialog"
    Replaces "Replaces"
    Join "Join"
    SessionExpires "Session-Expires" "x"
    MinSe "Min-SE"
    RSeq "RSeq"
    RAck "RAck"
    Event "Event" "o"
    SubscriptionState "Subscription-State"
    SipETag "SIP-ETag"
    SipIfMatch "SIP-If-Match"
    Path "Path"
    ServiceRoute "Service-Route"
    Identity "Identity" "y"
    InfoPackage "Info-Package"
    RecvInfo "Recv-Info"
    UserToUser "User-to-User"
    MaxBreadth "Max-Breadth"
    SessionId "Session-ID"
    GeolocationRouting "Geolocation-Routing"
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Self::Other { "(extension header)" } else { self.as_str() })
    }
}
