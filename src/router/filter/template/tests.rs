use proptest::prelude::*;

use super::*;

const DATA: &str = r#"{"name":"kai","n":7,"big":1000000,"long":12345678901234567890,"half":2.50,"yes":true,"no":false,"nul":null,
    "list":[3,1,2],"texts":["b","a","b"],"map":{"z":1,"a":"x"},"empty":"","none":[],"ref":"refs/heads/main"}"#;

fn render(template: &str) -> Result<String, Halt> {
    Template::parse(template).unwrap_or_else(|slip| panic!("{template}: {slip:?}")).render(Input::Json(DATA))
}

/// Each template with what it makes.
fn check(cases: &[(&str, &str)]) {
    for (template, expected) in cases {
        assert_eq!(render(template).as_deref(), Ok(*expected), "{template}");
    }
}

/// Each template with the words it fails with.
fn fails(cases: &[(&str, &str)]) {
    for (template, expected) in cases {
        assert_eq!(render(template), Err(Halt::Failed((*expected).to_owned())), "{template}");
    }
}

fn refused(template: &str) -> String {
    let mut problems = Problems::new();
    assert!(Template::compile(template, &FieldPath::root(), &mut problems).is_none(), "{template}");
    problems.to_string().lines().next().unwrap_or_default().to_owned()
}

#[test]
fn values_are_printed_as_they_stand_in_the_json() {
    check(&[
        ("plain", "plain"),
        ("{{ .Input.name }}", "kai"),
        ("{{.Input.n}}{{.Input.big}} {{ .Input.long }} {{ .Input.half }}", "71000000 12345678901234567890 2.5"),
        ("{{ .Input.yes }} {{ .Input.nul }} {{ .Input.missing }}", "true <no value> <no value>"),
        ("{{ .Input.list }} {{ .Input.map }}", r#"[3,1,2] {"z":1,"a":"x"}"#),
        ("{{ 1 }} {{ -2 }} {{ 1.5 }} {{ 0x1F }} {{ \"a\\n\\u00e9\" }} {{ `r\\n` }}", "1 -2 1.5 31 a\né r\\n"),
        ("{{ (index .Input.list 0) }} {{ (.Input.map).a }} {{ $.Input.n }}", "3 x 7"),
    ]);
    assert_eq!(render("{{ .Input.missing }}"), Err(Halt::Empty));
    assert_eq!(render("{{ .Input.empty }}"), Err(Halt::Empty));
    let text = Template::parse("{{ .Input }}!").unwrap();
    assert_eq!(text.render(Input::Text("a\"b")).as_deref(), Ok("a\"b!"));
    fails(&[
        ("{{ .Input.missing.b }}", "no value has no key \"b\""),
        ("{{ .Input.name.b }}", "a text has no key \"b\""),
        ("{{ index .Input.list 9 }}", "index: the list has no place 9: it has 3"),
    ]);
}

#[test]
fn blocks_choose_repeat_and_trim() {
    check(&[
        ("{{ if .Input.yes }}a{{ else }}b{{ end }}", "a"),
        ("{{ if .Input.no }}a{{ else if eq .Input.n 7 }}b{{ else }}c{{ end }}", "b"),
        ("{{ if .Input.empty }}a{{ end }}{{ if .Input.none }}b{{ end }}{{ if not .Input.nul }}c{{ end }}", "c"),
        ("{{ with .Input.map }}{{ .a }}{{ else }}none{{ end }}", "x"),
        ("{{ with .Input.missing }}{{ . }}{{ else with .Input.name }}{{ . }}{{ end }}", "kai"),
        ("{{ range .Input.list }}{{ . }},{{ end }}", "3,1,2,"),
        ("{{ range $i, $v := .Input.list }}{{ $i }}={{ $v }} {{ end }}", "0=3 1=1 2=2 "),
        ("{{ range $k, $v := .Input.map }}{{ $k }}={{ $v }} {{ end }}", "a=x z=1 "),
        ("{{ range .Input.none }}a{{ else }}none{{ end }}", "none"),
        ("{{ range .Input.list }}{{ if eq . 1 }}{{ continue }}{{ end }}{{ . }}{{ end }}", "32"),
        ("{{ range .Input.list }}{{ if eq . 1 }}{{ break }}{{ end }}{{ . }}{{ end }}", "3"),
        ("{{ $x := 1 }}{{ range .Input.list }}{{ $x = add $x . }}{{ end }}{{ $x }}", "7"),
        ("{{ $x := 1 }}{{ if true }}{{ $x := 2 }}{{ $x }}{{ end }}{{ $x }}", "21"),
        ("a  {{- /* a comment */ -}}  b", "ab"),
        ("a {{/* a comment */}} b", "a  b"),
        ("a \n {{- .Input.n -}} \n b", "a7b"),
        ("{{ .Input.n -}}   ", "7"),
    ]);
    fails(&[("{{ range .Input.n }}{{ end }}x", "a number cannot be ranged over")]);
}

#[test]
fn functions_do_what_gos_and_sprigs_do() {
    check(&[
        ("{{ upper .Input.name }}{{ .Input.name | title }}{{ \"AB\" | lower | untitle }}", "KAIKaiab"),
        (
            "{{ .Input.ref | trimPrefix \"refs/heads/\" }} {{ trimSuffix \".git\" \"a.git\" }} {{ trimAll \"$\" \"$5$\" }}",
            "main a 5",
        ),
        (
            "{{ trunc 2 .Input.name }} {{ trunc -2 .Input.name }} {{ abbrev 5 \"abcdefgh\" }} {{ substr 1 3 \"abcd\" }}",
            "ka ai ab... bc",
        ),
        (
            "{{ replace \"a\" \"o\" .Input.name }} {{ repeat 3 \"x\" }} {{ nospace \" a b \" }}[{{ trim \" a \" }}]",
            "koi xxx ab[a]",
        ),
        (
            "{{ contains \"a\" .Input.name }} {{ hasPrefix \"k\" .Input.name }} {{ hasSuffix \"k\" .Input.name }}",
            "true true false",
        ),
        ("{{ quote .Input.name .Input.n }} {{ squote 1 }} {{ cat \"a\" 1 true }}", "\"kai\" \"7\" '1' a 1 true"),
        ("{{ indent 2 \"a\\nb\" }}{{ nindent 1 \"c\" }}", "  a\n  b\n c"),
        ("{{ splitList \"/\" .Input.ref | last }} {{ join \"-\" .Input.texts }}", "main b-a-b"),
        ("{{ b64enc \"kai\" }} {{ b64dec \"a2Fp\" }} {{ b32enc \"k\" | b32dec }}", "a2Fp kai k"),
        (
            "{{ sha256sum \"\" | trunc 8 }} {{ sha1sum \"\" | trunc 8 }} {{ urlquery \"a b/é\" }}",
            "e3b0c442 da39a3ee a+b%2F%C3%A9",
        ),
        (
            "{{ add 1 2 .Input.n }} {{ sub 5 2 }} {{ mul 2 3 }} {{ div 7 2 }} {{ mod 7 2 }} {{ add1 \"4\" }}",
            "10 3 6 3 1 5",
        ),
        (
            "{{ max 1 5 2 }} {{ min 4 3 }} {{ floor 2.7 }} {{ ceil 2.1 }} {{ round 2.345 2 }} {{ mulf 1.5 3 }}",
            "5 3 2 3 2.35 4.5",
        ),
        (
            "{{ int .Input.half }} {{ atoi \"12\" }} {{ float64 \"1.5\" }} {{ .Input.n | toString | quote }}",
            "2 12 1.5 \"7\"",
        ),
        (
            "{{ default \"d\" .Input.missing }} {{ default \"d\" .Input.name }} {{ coalesce .Input.nul \"\" \"c\" }}",
            "d kai c",
        ),
        ("{{ empty .Input.none }} {{ ternary \"a\" \"b\" .Input.no }} {{ kindOf .Input.list }}", "true b slice"),
        (
            "{{ eq 1 1.0 }} {{ eq .Input.n 1 7 }} {{ ne \"a\" \"b\" }} {{ lt 1 2 }} {{ ge \"b\" \"a\" }} {{ eq .Input.nul nil }}",
            "true true true true true true",
        ),
        ("{{ and 1 0 2 }} {{ or 0 \"x\" }} {{ and .Input.missing .Input.missing.b }}", "0 x <no value>"),
        ("{{ len .Input.list }} {{ len \"é\" }} {{ len .Input.map }} {{ index .Input \"map\" \"a\" }}", "3 2 2 x"),
        ("{{ slice \"abcd\" 1 3 }} {{ slice .Input.list 1 }}", "bc [1,2]"),
        (
            "{{ list 1 \"a\" }} {{ first .Input.list }} {{ rest .Input.list }} {{ initial .Input.list }}",
            "[1,\"a\"] 3 [1,2] [3,1]",
        ),
        (
            "{{ uniq .Input.texts }} {{ reverse .Input.list }} {{ has 3 .Input.list }} {{ concat (list 1) .Input.none }}",
            "[\"b\",\"a\"] [2,1,3] true [1]",
        ),
        ("{{ append .Input.none 1 }} {{ prepend .Input.list 0 }}", "[1] [0,3,1,2]"),
        (
            "{{ dict \"b\" 1 \"a\" 2 }} {{ keys .Input.map }} {{ values .Input.map }} {{ hasKey .Input.map \"q\" }}",
            "{\"a\":2,\"b\":1} [\"a\",\"z\"] [\"x\",1] false",
        ),
        ("{{ get .Input.map \"a\" }} {{ (fromJson \"{\\\"k\\\":[1]}\").k }} {{ toJson .Input.name }}", "x [1] \"kai\""),
        (
            "{{ printf \"%s|%5d|%-4s|%05d|%.2f|%q|%t|%x|%v%%\" .Input.name 7 \"a\" -42 .Input.half \"q\" true 255 .Input.list }}",
            "kai|    7|a   |-0042|2.50|\"q\"|true|ff|[3,1,2]%",
        ),
        ("{{ print 1 2 \"a\" 3 }}{{ println 1 \"b\" }}", "1 2a31 b\n"),
    ]);
    fails(&[
        ("{{ b64dec \"*\" }}", "b64dec: the text is not encoded so"),
        ("{{ add 1 \"x\" }}", "add: a text is no number"),
        ("{{ div 1 0 }}", "div: a division by zero"),
        ("{{ mul 9223372036854775807 2 }}", "mul: the result is too large"),
        ("{{ eq 1 \"1\" }}", "eq: a number and a text cannot be compared"),
        ("{{ lt true false }}", "lt: a truth and a truth have no order"),
        ("{{ printf \"%d\" }}", "printf: the format has more verbs than there are values"),
        ("{{ fromJson \"{\" }}", "fromJson: the text is no JSON"),
        ("{{ splitList \"\" \"a\" }}", "splitList: a text cannot be split by nothing"),
    ]);
}

#[test]
fn what_can_be_wrong_is_refused_with_its_column() {
    let check = |template: &str, expected: &str| assert_eq!(refused(template), expected, "{template}");
    check("{{ .Input", "\"{{\" is not closed at column 1");
    check("{{ if .Input }}x", "this if has no end at column 1");
    check("x{{ end }}", "this end belongs to no if, with or range at column 2");
    check("{{ }}", "there is nothing between \"{{\" and \"}}\" at column 1");
    check("{{ env \"HOME\" }}", "unknown function \"env\" at column 4");
    check("{{ now }}", "unknown function \"now\" at column 4");
    check("{{ $x }}", "no variable $x is declared at column 4");
    check("{{ if true }}{{ $x := 1 }}{{ end }}{{ $x }}", "no variable $x is declared at column 39");
    check("{{ .Input 1 }}", "only functions take arguments, and this is none at column 4");
    check("{{ 1 | .Input }}", "only a function can follow a pipe at column 8");
    check("{{ trunc 1 }}", "trunc takes 2 arguments, not 1 at column 4");
    check("{{ upper lower }}", "lower needs brackets as an argument: (lower ...) at column 10");
    check("{{ (1 }}", "this bracket is not closed at column 4");
    check("{{ break }}", "break stands in no range at column 1");
    check("{{ define \"a\" }}{{ end }}", "define is not known here: a template calls no others at column 1");
    check("{{ .Input.list.0 }}", "a key that is a number cannot stand here at column 15");
    check("{{ 'a' }}", "texts stand in double quotes or backticks at column 4");
    check("{{ \"a }}", "this text is not closed at column 4");
    check("{{ if 1 }}{{ else }}{{ else }}{{ end }}", "a second else at column 21");
    check(&"x".repeat(MAX_LEN + 1), "a template is at most 16384 bytes long, this one 16385 at column 1");
    let deep = format!("{{{{ {}1{} }}}}", "(".repeat(40), ")".repeat(40));
    assert!(refused(&deep).starts_with("blocks and brackets go 32 levels deep"));
    let deep = format!("{}{}", "{{ if 1 }}".repeat(40), "{{ end }}".repeat(40));
    assert!(refused(&deep).starts_with("blocks and brackets go 32 levels deep"));
}

#[test]
fn a_run_is_bounded_whatever_it_does() {
    let numbers = "7,".repeat(20_000);
    let data = format!("{{\"l\":[{}0],\"text\":\"{}\"}}", numbers, "x".repeat(200_000));
    let costly = |template: &str| {
        let made = Template::parse(template).unwrap().render(Input::Json(&data));
        assert_eq!(made, Err(Halt::TooCostly), "{template}");
    };
    costly("{{ repeat 2000000 \"x\" }}");
    costly("{{ repeat 9223372036854775807 \"xxxxxxxx\" }}");
    costly("{{ range .Input.l }}{{ range $.Input.l }}x{{ end }}{{ end }}");
    costly("{{ range .Input.l }}{{ $.Input.text }}{{ end }}");
    costly("{{ range .Input.l }}{{ len $.Input.text | add 1 }}{{ end }}");
    costly("{{ $x := \"xx\" }}{{ range .Input.l }}{{ $x = print $x $x }}{{ end }}{{ $x }}");
    costly("{{ $x := list }}{{ range .Input.l }}{{ $x = append $x . }}{{ end }}{{ len $x }}");
    costly("{{ $x := $.Input.text }}{{ range .Input.l }}{{ if eq $x $x }}{{ end }}{{ end }}");
    costly("{{ $x := repeat 300000 \"x\" | list }}{{ range .Input.l }}{{ $y := first $x }}{{ end }}");
    costly("{{ replace \"x\" (repeat 1000 \"y\") .Input.text }}");
    costly("{{ indent 900000 .Input.text | indent 900000 }}");
    let deep = Template::parse("{{ $x := list }}{{ range .Input.l }}{{ $x = list $x }}{{ end }}x").unwrap();
    assert_eq!(deep.render(Input::Json(&data)), Err(Halt::Failed("list: lists are nested too deep".to_owned())));
}

/// Fragments that templates are made of, in any order.
fn fragment() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~é]{0,6}",
        prop::sample::select(vec![
            "{{",
            "}}",
            "{{ ",
            " }}",
            "{{- ",
            " -}}",
            "if ",
            "else",
            "end",
            "range ",
            "with ",
            ".Input",
            ".name",
            ".list",
            "$x",
            " := ",
            "(",
            ")",
            " | ",
            "\"a\"",
            "`b`",
            "1",
            "-3",
            "2.5",
            "upper ",
            "printf \"%05d\" ",
            "repeat 3 ",
            "index ",
            "list ",
            "dict ",
            "toJson ",
            "fromJson ",
            "/* */",
            "break",
            "and ",
            "eq ",
            "trunc -1 ",
            "substr 1 2 ",
            "slice ",
            "b64dec ",
            "nil",
        ])
        .prop_map(str::to_owned),
    ]
}

proptest! {
    #[test]
    fn any_text_is_refused_or_renders_or_fails(fragments in prop::collection::vec(fragment(), 0..24)) {
        let text = fragments.concat();
        match Template::parse(&text) {
            Ok(template) => {
                let first = template.render(Input::Json(DATA));
                prop_assert_eq!(&first, &template.render(Input::Json(DATA)), "{}", text);
                if let Ok(made) = first {
                    prop_assert!(made.len() <= MAX_STEPS);
                }
            }
            // Whatever is refused can be pointed at.
            Err(slip) => slip.refuse(&text, &FieldPath::root(), &mut Problems::new()),
        }
    }

    #[test]
    fn text_without_actions_stays_as_it_is(text in "[^{]{1,60}") {
        prop_assert_eq!(Template::parse(&text).unwrap().render(Input::Text("")).unwrap(), text);
    }

    #[test]
    fn any_expression_of_functions_is_bounded(
        name in prop::sample::select(functions::names().collect::<Vec<_>>()),
        arguments in prop::collection::vec(
            prop::sample::select(vec![".Input", ".Input.list", ".Input.map", ".Input.name", "-1", "0", "1000000", "2.5", "\"\"", "\"é%d\"", "nil", "true"]),
            0..4,
        ),
    ) {
        let text = format!("{{{{ {name} {} }}}}", arguments.join(" "));
        if let Ok(template) = Template::parse(&text) {
            // It need not succeed: it must end, and not panic.
            let made = template.render(Input::Json(DATA));
            prop_assert!(made.is_ok() || made.is_err());
        }
    }
}
