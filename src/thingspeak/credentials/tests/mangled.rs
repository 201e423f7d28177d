//! What people, editors and mail programs make of the downloads: taken with the right value, or refused with the line.

use super::*;

/// The download with one line written otherwise; the other two as they are.
fn with_line(key: &str, line: &str) -> String {
    let lines = [("username", ID), ("clientId", ID), ("password", PASSWORD)];
    let lines: Vec<_> = lines
        .iter()
        .map(|(name, value)| if *name == key { line.to_owned() } else { format!("{name} = {value}") })
        .collect();
    lines.join("\n")
}

#[track_caller]
fn assert_taken(text: &str) {
    let expected = parse_text(&download()).expect("the download itself");
    assert_eq!(parse_text(text).map_err(|error| error.to_string()), Ok(expected), "{text}");
}

/// The sentence of a refusal, which shows nothing of any value.
#[track_caller]
fn refusal(text: &str) -> String {
    let shown = match parse_text(text) {
        Ok(read) => panic!("taken: {:?} and {:?} of\n{text}", read.client_id, read.password.expose_secret()),
        Err(error) => error.to_string(),
    };
    assert!(!shown.contains("ABcDE") && !shown.contains("aB+cD") && !shown.contains("qrS1234"), "{shown}");
    assert!(!shown.contains('\n') && shown.starts_with("mqtt.txt"), "{shown}");
    shown
}

#[test]
fn quotes_around_a_value_are_no_part_of_it() {
    for (open, close) in [("'", "'"), ("\"", "\""), ("`", "`"), ("\" ", " \""), ("'\u{feff}", "'")] {
        assert_taken(&with_line("clientId", &format!("clientId = {open}{ID}{close}")));
        assert_taken(&with_line("password", &format!("password={open}{PASSWORD}{close}  ")));
    }
}

#[test]
fn a_file_may_be_written_for_another_program() {
    for text in [
        format!("{{\n  \"username\": \"{ID}\",\n  \"clientId\": \"{ID}\",\n  \"password\": \"{PASSWORD}\"\n}}\n"),
        format!("{{\"id\": 7, \"mqtt\": {{\"username\":\"{ID}\",\"clientId\":\"{ID}\",\"password\":\"{PASSWORD}\"}}}}"),
        format!("[mqtt]\nusername = '{ID}'\nclient_id = \"{ID}\"\npassword = \"{PASSWORD}\" # shown once\n"),
        format!("mqtt:\n  - username: {ID}\n    clientId: '{ID}'\n    password: {PASSWORD}\n"),
        format!(
            "const char* SECRET_MQTT_USERNAME = \"{ID}\";\nchar clientId[] = \"{ID}\";\nstatic const char PASSWORD[25] = \
             \"{PASSWORD}\"; // shown once\n"
        ),
        format!("const char username[] = \"{ID}\"; String clientId = \"{ID}\"; String password = \"{PASSWORD}\";"),
        format!("export MQTT_USERNAME='{ID}'\nexport MQTT_CLIENT_ID='{ID}'\nexport MQTT_PASSWORD='{PASSWORD}'\n"),
        format!("mqtt.username = \"{ID}\"\nself.client_id = \"{ID}\"\nMY_PASSWORD = '{PASSWORD}';\n"),
        format!("> Username: {ID}\n> Client ID: {ID}\n> Password: {PASSWORD}\n"),
        format!(
            "#define SECRET_MQTT_USERNAME {ID}\n#define SECRET_MQTT_CLIENT_ID '{ID}'\n#define SECRET_MQTT_PASSWORD = \"{PASSWORD}\"\n"
        ),
        format!("#define SECRET_WIFI_PASSWORD \"home\"\nwifi_password = home\nssid: cellar\n{}", download()),
    ] {
        assert_taken(&text);
    }
}

#[test]
fn comments_of_every_kind_are_passed_over() {
    let old = "username = old\nclientId = old\npassword = old";
    for text in [
        format!("/* {old} */\n{}", download()),
        format!("/*\n{old}\n*/\n{}", header()),
        format!("/* #define SECRET_MQTT_PASSWORD \"old\"\n */ {}", download()),
        format!("<!-- {old} -->\n{}", download()),
        format!("int x = 5; /* {old}\n*/\n{}", download()),
        format!("// /* \n{}\n# */", download()),
        format!("#undef SECRET_MQTT_PASSWORD\n#ifdef X\n#endif\n{}", header()),
        with_line("password", &format!("password = {PASSWORD} // shown /* once")),
        with_line("password", &format!("password = {PASSWORD}\t# it's = shown once")),
        with_line("password", &format!("password = \"{PASSWORD}\" ; note")),
        with_line("password", &format!("password = {PASSWORD} ; note")),
        download().replace('\n', "\n//====================\n====\n"),
        format!("{}\n////////////////////\nEOF", download()),
        with_line("password", &format!("password = '{PASSWORD}' /* = old\nclientId = old */")),
        with_line("clientId", &format!("//clientId = old\n;clientId = old\n--clientId = old\nclientId = {ID}")),
    ] {
        assert_taken(&text);
    }
}

#[test]
fn a_password_may_hold_what_elsewhere_begins_a_comment_or_ends_a_name() {
    let read =
        |line: &str| parse_text(&with_line("password", line)).map(|read| read.password.expose_secret().to_owned());
    for password in
        ["//cD/eF0123456789ghIJw==", "a#b", "a//b", "a;b", "a=b:c", "it's", "a/*b", "=a", "'a", "#a", "a,", "<3"]
    {
        assert_eq!(read(&format!("password = \"{password}\"")).as_deref(), Ok(password), "in quotes");
    }
    for password in ["//cD/eF0123456789ghIJw==", "a#b", "a//b", "a;b", "a=b:c", "it's", "a/*b", "a\\b", "a--b"] {
        assert_eq!(read(&format!("password = {password}")).as_deref(), Ok(password), "bare");
    }
}

#[test]
fn line_ends_blanks_and_byte_order_marks_of_any_system_are_no_part_of_a_value() {
    for text in [
        download().replace('\n', "\r"),
        download().replace('\n', "\r\n\r\n"),
        download().replace(" = ", "\u{a0}=\u{a0}"),
        download().replace(" = ", "\t=\t").replace('\n', "\u{200b}\n\u{feff}"),
        format!("{}\n\n{}", download(), header()),
    ] {
        assert_taken(&text);
    }
    let latin1 = [b"# Gew\xe4chshaus\n".as_slice(), download().as_bytes()].concat();
    let (_folder, path) = file("mqtt.txt", [b"\xef\xbb\xbf\xef\xbb\xbf", latin1.as_slice()].concat());
    assert_eq!(Source::File(path).read(), parse_text(&download()));
}

#[test]
fn what_is_no_value_is_refused_with_its_line_and_what_to_do() {
    for (line, words) in [
        ("password =", "line 3 (password): there is no value: write it behind the name, in the same line"),
        ("password = \"\"", "line 3 (password): there is no value"),
        ("password = ''", "line 3 (password): there is no value"),
        ("password = # shown once", "line 3 (password): there is no value"),
        ("#define SECRET_MQTT_PASSWORD", "line 3 (password): there is no value"),
        ("#define SECRET_MQTT_PASSWORD \\\n\"aB+cD\"", "line 3 (password): there is no value"),
        ("password = \u{200b}", "line 3 (password): there is no value"),
        ("password = #aB+cD", "line 3 (password): the value looks like a comment: if it is the value, put quotes"),
        ("password = //aB+cD", "line 3 (password): the value looks like a comment"),
        ("password = “aB+cD”", "line 3 (password): the value is in typographic quotes"),
        ("password = \"aB+cD”", "line 3 (password): the value is in typographic quotes"),
        ("password = «aB+cD»", "line 3 (password): the value is in typographic quotes"),
        ("password = ´aB+cD´", "line 3 (password): the value is in typographic quotes"),
        ("“password”: “aB+cD”,", "line 3 (password): the value is in typographic quotes"),
        ("password = 'aB+cD", "line 3 (password): the value has a quote at one end only"),
        ("password = aB+cD\"", "line 3 (password): the value has a quote at one end only"),
        ("password = 'aB+cD\"", "line 3 (password): the value has a quote at one end only"),
        ("password = \"'aB+cD'\"", "line 3 (password): the value is in two pairs of quotes"),
        ("password = \"aB\\/cD\"", "line 3 (password): the value has a backslash within quotes"),
        ("password = \"aB\" \"+cD\"", "line 3 (password): text follows the closing quote"),
        ("password = \"aB\";+cD\"", "line 3 (password): text follows the closing quote"),
        ("password = \"\"\"aB+cD\"\"\"", "line 3 (password): there is no value"),
        (
            "password = aB+cD;",
            "line 3 (password): a comma, semicolon, period or backslash ends the value: leave it out",
        ),
        ("password = aB+cD,", "line 3 (password): a comma, semicolon, period or backslash ends the value"),
        ("password = aB+cD.", "line 3 (password): a comma, semicolon, period or backslash ends the value"),
        ("password = aB+cD\\", "line 3 (password): a comma, semicolon, period or backslash ends the value"),
        ("password = aB+cD<br>", "line 3 (password): the value has a piece of a web page's source in it"),
        ("password = **aB+cD**", "line 3 (password): the value is in brackets, or in marks"),
        ("password = aB+cD}", "line 3 (password): the value is in brackets, or in marks"),
        ("password = 'aB+cD' clientId = 'ABcDE'", "line 3 (password): several names and values are in one line"),
        ("password = aB+cD eF", "line 3 (password): the value has a blank in it"),
        ("password = \"aB+cD eF\"", "line 3 (password): the value has a blank in it"),
        ("password = aB\u{a0}cD", "line 3 (password): the value has a blank in it"),
        ("password == aB+cD", "line 3 (password): the value begins with =, : or >"),
        ("password => aB+cD", "line 3 (password): the value begins with =, : or >"),
        ("password := 'aB+cD'", "line 3 (password): the value begins with =, : or >"),
        ("password =\n---\n", "line 3 (password): there is no value"),
        ("password = (aB+cD)", "line 3 (password): the value is in brackets, or in marks"),
        ("password = [aB+cD]", "line 3 (password): the value is in brackets, or in marks"),
        ("String password = F(\"aB+cD\");", "line 3 (password): the value is part of a program"),
        ("password = getenv('aB+cD')", "line 3 (password): the value is part of a program"),
        ("password = aB+cD clientId = ABcDE", "line 3 (password): several names and values are in one line"),
        ("password=aB+cD,clientId=ABcDE", "line 3 (password): several names and values are in one line"),
        ("password = aB+cD\\nclientId = ABcDE", "line 3 (password): several names and values are in one line"),
        ("password = aB&amp;cD", "line 3 (password): the value has a piece of a web page's source in it"),
        ("password = aB&#43;cD", "line 3 (password): the value has a piece of a web page's source in it"),
        ("password = aB%2BcD%2FeF0123456789ghIJ%3D%3D", "line 3 (password): the value is encoded as in a web address"),
        ("password = aB\u{200b}cD", "line 3 (password): the value has an invisible character"),
        ("password = aB\u{ad}cD", "line 3 (password): the value has an invisible character"),
        ("password = aB\u{0}cD", "line 3 (password): the value has a control character"),
        ("password = aB+cD\u{0}\u{0}", "line 3 (password): the value has a control character"),
        ("password = \u{430}B+cD", "line 3 (password): the value has a character in it that is not ASCII"),
        ("password = aB\u{fffd}cD", "line 3 (password): the value has bytes in it that are not UTF-8"),
        ("password\naB+cD/eF", "line 3 (password): there is no equals sign behind the name"),
        ("password aB+cD/eF", "line 3 (password): there is no equals sign behind the name"),
        ("password,aB+cD/eF", "line 3 (password): there is no equals sign behind the name"),
        ("| password | aB+cD/eF |", "line 3 (password): there is no equals sign behind the name"),
        (
            "password = aB+cD/\neF0123456789ghIJ==",
            "lines 3 and 4 (password): the value seems to go on in the next line",
        ),
        (
            "password = aB+cD/\n\n  eF0123456789ghIJ==",
            "lines 3 and 5 (password): the value seems to go on in the next line",
        ),
        ("password = \"aB+cD/\"\n  \"eF0123456789ghIJ==\";", "lines 3 and 4 (password): the value seems to go on"),
        ("/* password = aB+cD", "line 3: the comment that begins here has no end"),
        ("# password = aB+cD", " holds no password: download the file again"),
        ("wifi_password = aB+cD", " holds no password: download the file again"),
        ("pass = aB+cD", " holds no password: download the file again"),
        ("password = ABcDEfGhijKLmnOPqrS1234", "lines 1, 2 and 3: the password looks like a client ID"),
    ] {
        let shown = refusal(&with_line("password", line));
        assert!(shown.contains(words), "{line:?}\n  gives {shown}");
    }
}

#[test]
fn the_same_mistake_in_every_line_is_one_sentence() {
    assert!(refusal(&download().replace(" = ", " = “").replace('\n', "”\n")).starts_with(
        "mqtt.txt, lines 1, 2 and 3 (username, clientId and password): the value is in typographic quotes"
    ));
    let curly = "username: <your username>\nclientId: <the same 23>\npassword: <your password>";
    assert!(
        refusal(curly)
            .starts_with("mqtt.txt, lines 1, 2 and 3 (username, clientId and password): this is a placeholder")
    );
    let mail = download().replace(" = ", " =3D ");
    assert!(refusal(&mail).contains("lines 1, 2 and 3: this is the source of a mail"), "{}", refusal(&mail));
    assert!(refusal(&download().replace(" = ", "=3D")).contains("this is the source of a mail"));
    assert!(refusal(&download().replace(" = ", "\n")).contains("lines 1, 3 and 5 (username, clientId and password)"));
    let swapped = format!("username = {ID}\nclientId = {PASSWORD}\npassword = {ID}");
    assert!(refusal(&swapped).contains("the values may have changed places"));
    let one_line = download().replace('\n', " ");
    assert!(refusal(&one_line).contains("line 1 (username): several names and values are in one line"));
}

#[test]
fn a_placeholder_is_refused_however_it_is_written() {
    for placeholder in
        ["<your password>", "YOUR_PASSWORD", "xxxxxxxx", "...", "changeme", "password", "••••••••", "aB+cD..."]
    {
        for line in [
            format!("password = {placeholder}"),
            format!("password = \"{placeholder}\""),
            format!("#define SECRET_MQTT_PASSWORD \"{placeholder}\" // from the web page"),
        ] {
            let shown = refusal(&with_line("password", &line));
            assert!(
                shown.contains("line 3 (password): this is a placeholder and not a value: replace it"),
                "{line}: {shown}"
            );
            assert!(!shown.contains("YOUR") && !shown.contains("xxx") && !shown.contains("aB+"), "{shown}");
        }
    }
}

#[test]
fn two_devices_in_a_file_are_told_with_both_lines() {
    let other = download().replace("ABcD", "ZZcD").replace("aB+c", "zz+c");
    let shown = refusal(&format!("{}\n\n{other}", download()));
    assert!(shown.starts_with("mqtt.txt, lines 1 and 5 (username): there are two different values: delete"), "{shown}");
    let shown = refusal(&format!("{}{}", header(), download().replace("aB+c", "zz+c")));
    assert!(shown.starts_with("mqtt.txt, lines 3 and 6 (password): there are two different values"), "{shown}");
}

#[test]
fn a_file_of_another_kind_is_told_as_what_it_is() {
    let utf16 = |bytes: fn(u16) -> [u8; 2], text: &str| text.encode_utf16().flat_map(bytes).collect::<Vec<u8>>();
    let marked = format!("\u{feff}{}", download());
    for (content, words) in [
        (
            utf16(u16::to_le_bytes, &marked),
            ", line 1: the file is saved as UTF-16, which some editors call Unicode: save it as UTF-8",
        ),
        (utf16(u16::to_be_bytes, &marked), ", line 1: the file is saved as UTF-16"),
        (utf16(u16::to_le_bytes, &download()), ", line 1: the file is saved as UTF-16"),
        (utf16(u16::to_be_bytes, &download()), ", line 1: the file is saved as UTF-16"),
        (b"<!DOCTYPE html>\n<html><body>password = a".to_vec(), ", line 1: this is a web page"),
        (b"\n<?xml version=\"1.0\"?><plist>".to_vec(), ", line 1: this is a web page"),
        (b"<p>password = a</p>".to_vec(), ", line 1: this is a web page"),
        (b"{\\rtf1\\ansi password = a}".to_vec(), ", line 1: this is a document of a word processor"),
        (b"PK\x03\x04\x14\x00\x06\x00\x08\x00".to_vec(), ", line 1: this is a document of a word processor"),
        (b"-----BEGIN CERTIFICATE-----\nMIID".to_vec(), ", line 1: this is a certificate or a key"),
        (vec![0; 105], " holds nothing but zero bytes"),
        (vec![b'\n'; MAX_BYTES + 1], " is larger than 16 KiB"),
        (Vec::new(), " is empty: put the file there"),
        (b" \r\n\t\n".to_vec(), " is empty"),
        (b"AB12CD34EF56GH78\n".to_vec(), " holds an API key and no credentials of an MQTT device"),
        (b"Write API Key: AB12CD34EF56GH78\n".to_vec(), " holds an API key"),
        (b"# nothing yet\n".to_vec(), " holds no username, no clientId and no password: download"),
        (b"username,clientId,password\na,a,b\n".to_vec(), ", line 1 (username): there is no equals sign"),
    ] {
        let (_folder, path) = file("mqtt.txt", &content);
        let shown = Source::File(path).read().expect_err("no credentials").to_string();
        assert!(shown.contains(&format!("mqtt.txt{words}")), "{shown}");
    }
}

#[test]
fn a_password_file_holds_the_password_however_it_is_quoted_and_nothing_else() {
    let read = |content: &str| {
        let (folder, path) = file("password", content);
        let folder = folder.path().display().to_string();
        let source = Source::PasswordFile { client_id: ID.into(), username: ID.into(), password_file: path };
        let read = source.read().map(|read| read.password.expose_secret().to_owned());
        // The folder's name is random, and may have a piece of the password in it.
        read.map_err(|error| error.to_string().replace(&folder, "folder"))
    };
    for content in ["P", "P\r\n", "\u{feff}P\n\n", "'P'", "\"P\"\n", " P # shown once", "\"P\" // shown once"] {
        assert_eq!(read(&content.replace('P', PASSWORD)).as_deref(), Ok(PASSWORD), "{content}");
    }
    for (content, words) in [
        ("", "password is empty"),
        ("\n \n", "password is empty"),
        ("\"\"", "line 1: there is no value"),
        ("“aB+cD”", "line 1: the value is in typographic quotes"),
        ("'aB+cD", "line 1: the value has a quote at one end only"),
        ("\n<your password>", "line 2: this is a placeholder and not a value"),
        ("password", "line 1: this is a placeholder and not a value"),
        ("aB+cD\neF", "lines 1 and 2: there is more than one line"),
        ("password = aB+cD", "line 1: this file holds names with their values"),
        ("username = a\nclientId = a\npassword = aB+cD", "lines 1, 2 and 3: this file holds names with their values"),
        ("#define SECRET_MQTT_PASSWORD \"aB+cD\"", "line 1: this file holds names with their values"),
        ("aB+cD eF", "line 1: the value has a blank in it"),
        ("'aB' 'cD'", "line 1: text follows the closing quote"),
        (ID, "line 1 (password): the password looks like a client ID"),
    ] {
        let shown = read(content).expect_err(content);
        assert!(shown.contains(words) && !shown.contains("aB"), "{content:?} gives {shown}");
    }
}

#[test]
fn a_value_in_the_map_is_looked_at_too() {
    let looked_at = |value: &str| [Key::ClientId, Key::Password].map(|key| check_written(key, value));
    for value in [ID, "mqtt", "#a", "'a", "a,", "a\\b"] {
        assert_eq!(looked_at(value), [None, None], "{value}");
    }
    for (value, problem) in [
        ("", Problem::NoValue),
        (" ", Problem::NoValue),
        ("'a'", Problem::NestedQuotes),
        ("“a”", Problem::TypographicQuotes),
        ("<your password>", Problem::Placeholder),
        ("CLIENT-ID", Problem::Placeholder),
        ("a ", Problem::Blank),
        ("a\u{a0}b", Problem::Blank),
        ("a\nb", Problem::Blank),
        ("a\u{7}", Problem::Control),
        ("a\u{200b}", Problem::Invisible),
    ] {
        assert_eq!(looked_at(value), [Some(problem), Some(problem)], "{value:?}");
    }
    assert_eq!(looked_at("correct horse"), [Some(Problem::Blank), None]);
    assert_eq!(looked_at("grün"), [Some(Problem::Foreign), None]);
}

#[test]
fn what_differs_from_thingspeaks_own_form_is_remarked_and_taken() {
    let remark = |text: &str| parse_text(text).expect("it is taken").remark().map(|(remark, _)| remark);
    assert_eq!(remark(&download()), None);
    assert_eq!(remark("username = mqtt\nclientId = pi\npassword = hunter2"), None);
    let other = with_line("clientId", "clientId = pi");
    assert_eq!(remark(&other), Some("client ID and user name differ, and ThingSpeak's are the same"));
    let cut = with_line("clientId", "clientId = ABcDEfGhijKLmnOPqrS1243");
    assert_eq!(remark(&cut), Some("client ID and user name differ, and ThingSpeak's are the same"));
    let cut = with_line("password", "password = aB+cD/eF0123456789gh");
    assert_eq!(remark(&cut), Some("the client ID has the form of ThingSpeak's, and the password has not"));
    let key = with_line("password", "password = AB12CD34EF56GH78");
    assert_eq!(remark(&key), Some("the password has 16 capitals and digits, as ThingSpeak's API keys have"));
}

#[test]
fn a_value_of_thingspeaks_form_with_a_sign_too_many_or_cut_off_is_refused() {
    for (key, value) in [
        ("clientId", "ABcDEfGhij'KLmnOPqrS1234"),
        ("clientId", "ABcDEfGhijKLmnOPqrS"),
        ("username", "GhijKLmnOPqrS1234"),
        ("username", "abcdefghijklmnopqrs1234"),
        ("username", "~ABcDEfGhijKLmnOPqrS1234"),
        ("password", "aB+cD/eF01\"23456789ghIJ=="),
        ("password", "aB+cD/e=F0123456789ghIJ=="),
        ("password", "aB+cD/eF0123456789ghIJ==~"),
    ] {
        let shown = refusal(&with_line(key, &format!("{key} = {value}")));
        assert!(shown.contains(&format!(" ({key}): the value is nearly what ThingSpeak gives: ")), "{value}: {shown}");
    }
    for other in [
        "username = raspberrypi-living-room-01\nclientId = raspberrypi-living-room-01\npassword = a!b",
        "username = pi\nclientId = p\npassword = aB+cD/eF0!123456789ghIJ==",
    ] {
        assert!(parse_text(other).is_ok(), "another broker's");
    }
}
