//! Percent-encoding, as URLs write user names and passwords (RFC 3986, section 2.1).

/// Decodes `%41`; what is no valid escape stays as it is.
pub fn percent_decode(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::percent_decode;

    #[test]
    fn escapes_are_undone_and_what_is_none_stays() {
        for (text, plain) in [
            ("p%40ss", "p@ss"),
            ("%C3%BC", "ü"),
            ("100%", "100%"),
            ("%zz%4", "%zz%4"),
            ("%+1", "%+1"),
            ("", ""),
        ] {
            assert_eq!(percent_decode(text), plain);
        }
    }
}
