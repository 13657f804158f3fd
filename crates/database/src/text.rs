//! Statements as they may be shown: literals masked, shortened.

/// Most characters of a statement that are shown.
const SHOWN: usize = 300;

/// The statement with every literal as `?`, white space and comments folded, and shortened. Literals hold what users
/// typed: names, addresses, passwords.
pub fn shape(sql: &str) -> String {
    let mut out = String::with_capacity(sql.len().min(SHOWN * 2));
    let bytes = sql.as_bytes();
    let mut at = 0;
    while at < bytes.len() && out.len() < SHOWN * 4 {
        let rest = &bytes[at..];
        match bytes[at] {
            b'\'' => {
                at += literal(rest);
                out.push('?');
            }
            // Quoted identifiers are names in standard SQL, and strings for MySQL: masked, to be safe.
            b'"' => {
                at += quoted(rest, b'"');
                out.push('?');
            }
            b'`' => {
                let end = at + quoted(rest, b'`');
                out.push_str(&sql[at..end]);
                at = end;
            }
            b'$' => match dollar_quoted(rest) {
                Some(length) => {
                    at += length;
                    out.push('?');
                }
                None => {
                    out.push('$');
                    at += 1;
                }
            },
            b'-' if rest.starts_with(b"--") => {
                at += rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
            }
            b'/' if rest.starts_with(b"/*") => {
                at += rest.windows(2).position(|pair| pair == b"*/").map_or(rest.len(), |end| end + 2);
                space(&mut out);
            }
            byte if byte.is_ascii_whitespace() => {
                space(&mut out);
                at += 1;
            }
            byte if byte.is_ascii_digit() && !is_word(out.as_bytes().last()) => {
                let length = rest.iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'.').count();
                out.push('?');
                at += length;
            }
            _ => {
                let length = sql[at..].chars().next().map_or(1, char::len_utf8);
                out.push_str(&sql[at..at + length]);
                at += length;
            }
        }
    }
    shorten(out.trim(), SHOWN)
}

/// At most so many characters, with an ellipsis where something was cut off.
pub fn shorten(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

fn space(out: &mut String) {
    if !out.is_empty() && !out.ends_with(' ') {
        out.push(' ');
    }
}

fn is_word(byte: Option<&u8>) -> bool {
    byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$'))
}

/// Length of a quoted text that begins here, quotes included. Statements are cut off by servers, so the end may be
/// missing.
fn quoted(bytes: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            byte if byte == quote && bytes.get(at + 1) == Some(&quote) => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// Length of a string literal. A backslash escapes the quote behind it in MySQL, and in PostgreSQL only in `E'…'`: where
/// the two readings differ, everything to the later end is masked, so that neither shows a part of a literal.
fn literal(bytes: &[u8]) -> usize {
    let escaped = quoted(bytes, b'\'');
    if !bytes[..escaped].contains(&b'\\') {
        return escaped;
    }
    // Whichever reading is right, a literal may begin where the other one ends: nothing behind it can be told apart.
    bytes.len()
}

/// Length of a text in PostgreSQL's dollar quotes.
fn dollar_quoted(bytes: &[u8]) -> Option<usize> {
    let tag = 1 + bytes[1..].iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count();
    if bytes.get(tag) != Some(&b'$') {
        return None;
    }
    let mark = &bytes[..=tag];
    let end = bytes[mark.len()..].windows(mark.len()).position(|part| part == mark);
    Some(end.map_or(bytes.len(), |end| mark.len() * 2 + end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_never_show() {
        for (sql, shown) in [
            ("SELECT 1", "SELECT ?"),
            ("select * from t1 where a = 'O''Hara' and b=\"x\"", "select * from t1 where a = ? and b=?"),
            ("UPDATE  u\n SET pw='ab' -- secret\n WHERE id = 0x1F", "UPDATE u SET pw=? WHERE id = ?"),
            // Backslashes mean different things to different servers.
            ("UPDATE u SET pw='a\\'b' WHERE c = 'secret'", "UPDATE u SET pw=?"),
            ("SELECT * FROM f WHERE path = 'C:\\' AND token = 'secret'", "SELECT * FROM f WHERE path = ?"),
            ("SELECT $1, $$body$$, $q$it's$q$ /* hidden */ FROM x", "SELECT $1, ?, ? FROM x"),
            ("INSERT INTO `a b` VALUES (1.5e3,'cut of", "INSERT INTO `a b` VALUES (?,?"),
            ("SELECT 'ü', ünï FROM täble", "SELECT ?, ünï FROM täble"),
            ("", ""),
        ] {
            assert_eq!(shape(sql), shown);
        }
    }

    #[test]
    fn long_statements_are_cut_at_a_character() {
        let long = shape(&"ä ".repeat(1000));
        assert!(long.chars().count() <= SHOWN + 1 && long.ends_with('…'));
    }
}
