//! Words of a script and the bytes that they stand for. `%XX` is the byte XX, everywhere.

/// Split at spaces, but not inside `"…"`, `{…}` and `[…]`.
pub fn words(statement: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut word = String::new();
    let mut until = None;
    for letter in statement.chars() {
        match (until, letter) {
            (None, ' ') => {
                if !word.is_empty() {
                    found.push(std::mem::take(&mut word));
                }
                continue;
            }
            (None, '"') => until = Some('"'),
            (None, '{') => until = Some('}'),
            (None, '[') => until = Some(']'),
            (Some(end), _) if end == letter => until = None,
            _ => {}
        }
        word.push(letter);
    }
    if !word.is_empty() {
        found.push(word);
    }
    found
}

/// `%XX` to bytes; `N*X` repeats the text X N times.
pub fn unescape(text: &str) -> Vec<u8> {
    if let Some((count, repeated)) = text.split_once('*') {
        if let Ok(count) = count.parse::<usize>() {
            return unescape(repeated).repeat(count);
        }
    }
    let bytes = text.as_bytes();
    let mut found = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = if bytes[at] == b'%' { text.get(at + 1..at + 3) } else { None };
        if let Some(byte) = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            found.push(byte);
            at += 3;
        } else {
            found.push(bytes[at]);
            at += 1;
        }
    }
    found
}

/// Printable ASCII as it is, everything else as `%XX`.
pub fn escape(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        match byte {
            b'%' => text.push_str("%25"),
            0x20..=0x7e => text.push(*byte as char),
            _ => text.push_str(&format!("%{byte:02x}")),
        }
    }
    text
}

/// The same, and long ones as their size and beginning.
pub fn show(bytes: &[u8]) -> String {
    if bytes.len() <= 200 {
        return format!("\"{}\"", escape(bytes));
    }
    format!("\"{}\"… {} bytes", escape(&bytes[..20]), bytes.len())
}

/// `name=value,name=value` in the form of the ABI: count, sizes, then names and values with a NUL each.
pub fn pairs_bytes(text: &str) -> Vec<u8> {
    let pairs: Vec<(Vec<u8>, Vec<u8>)> = text
        .split(',')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (unescape(name), unescape(value)))
        .collect();
    let mut bytes = (pairs.len() as u32).to_le_bytes().to_vec();
    for (name, value) in &pairs {
        bytes.extend_from_slice(&(name.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&(value.len() as u32).to_le_bytes());
    }
    for (name, value) in &pairs {
        for part in [name, value] {
            bytes.extend_from_slice(part);
            bytes.push(0);
        }
    }
    bytes
}

/// Pairs sorted by name, without those of the suite itself and without times; `none` for no bytes, `malformed` for no list.
pub fn show_pairs(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "none".to_string();
    }
    match read_pairs(bytes) {
        None => "malformed".to_string(),
        Some(mut pairs) => {
            pairs.retain(|(name, _)| name != b"x-script" && name != b"x-case");
            pairs.sort_by(|one, other| one.0.cmp(&other.0));
            let shown: Vec<String> = pairs
                .iter()
                .map(|(name, value)| match name.as_slice() {
                    b"x-envoy-upstream-service-time" => "x-envoy-upstream-service-time=*".to_string(),
                    _ => format!("{}={}", escape(name), escape(value)),
                })
                .collect();
            format!("{{{}}}", shown.join(","))
        }
    }
}

type Pair = (Vec<u8>, Vec<u8>);

fn read_pairs(bytes: &[u8]) -> Option<Vec<Pair>> {
    let size_at = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?) as usize);
    let count = size_at(0)?;
    let mut data = 4 + count * 8;
    let mut pairs = Vec::new();
    for index in 0..count {
        let mut parts = Vec::new();
        for half in 0..2 {
            let size = size_at(4 + index * 8 + half * 4)?;
            if *bytes.get(data + size)? != 0 {
                return None;
            }
            parts.push(bytes[data..data + size].to_vec());
            data += size + 1;
        }
        let value = parts.pop()?;
        pairs.push((parts.pop()?, value));
    }
    (data == bytes.len()).then_some(pairs)
}
