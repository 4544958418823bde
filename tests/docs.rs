//! README says what the code says.

const README: &str = include_str!("../README.md");

#[test]
fn readme_has_the_option_table_of_the_code() {
    let (_, rest) = README.split_once("<!-- options -->\n").expect("README marks the start of the options");
    let (shown, _) = rest.split_once("<!-- /options -->").expect("README marks the end of the options");
    let table = jackfield::cli::options_table();
    assert!(shown.trim() == table.trim(), "README's table of options should be, between its markers:\n\n{table}");
}
