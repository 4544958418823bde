use super::*;

#[test]
fn a_service_is_used_by_its_name() {
    for (provider, user) in [(Kin::G2, Kin::G5), (Kin::G5, Kin::G2), (Kin::G5, Kin::G0)] {
        let mut stage = Stage::new();
        let (p, u) = (stage.open(provider, "P"), stage.open(user, "U"));
        assert_eq!(stage.emit(u, 1, r#""CHECK_API_NAME","jobs""#), ["U 431[false]"]);
        assert!(stage.emit(p, None, r#""CREATE_API","jobs""#).is_empty());
        assert_eq!(stage.emit(p, 9, r#""CREATE_API","jobs""#), ["P 439[null]"], "it is its own");
        assert_eq!(stage.emit(u, 2, r#""CHECK_API_NAME","jobs""#), ["U 432[true]"]);
        assert_eq!(stage.emit(u, None, r#""USE_API","jobs",1,[2]"#), [r#"P 42["jobs",1,[2]]"#]);
        assert_eq!(stage.emit(u, 3, r#""USE_API","jobs""#), [r#"P 42#["jobs"]"#]);
        assert_eq!(stage.answer(p, r#"{"done":true}"#), [r#"U 433[{"done":true}]"#]);
        assert_eq!(stage.emit(p, None, r#""USE_API","jobs""#), [r#"P 42["jobs"]"#], "by itself");
        assert!(stage.close(p).is_empty());
        assert_eq!(stage.emit(u, 4, r#""CHECK_API_NAME","jobs""#), ["U 434[false]"]);
        assert_eq!(stage.emit(u, 5, r#""USE_API","jobs""#), [error("U", "Error: API is not registered: jobs")]);
        assert!(stage.close(u).is_empty() && stage.is_empty());
    }
}

#[test]
fn a_provider_of_the_seeds_generation_gets_its_form() {
    let mut stage = Stage::new();
    let (p, u) = (stage.open(Kin::G0, "P"), stage.open(Kin::G5, "U"));
    stage.emit(p, None, r#""CREATE_API","jobs""#);
    assert_eq!(
        stage.emit(u, 1, r#""USE_API","jobs",1,2"#),
        [r#"P 42["jobs",[1,2]]"#, r#"U 431["Server acknowledged"]"#]
    );
}

#[test]
fn a_name_that_is_taken_is_not_stolen() {
    let mut stage = Stage::new();
    let (p, q) = (stage.open(Kin::G5, "P"), stage.open(Kin::G5, "Q"));
    stage.emit(p, None, r#""CREATE_API","jobs""#);
    assert_eq!(stage.emit(q, 1, r#""CREATE_API","jobs""#), [r#"Q 431["Duplicated API name: jobs"]"#]);
    assert_eq!(stage.emit(q, None, r#""CREATE_API","jobs""#), [error("Q", "Duplicated API name: jobs")]);
    let not_mine = "Error: DESTROY_API: this client provides no such service";
    assert_eq!(stage.emit(q, 2, r#""DESTROY_API","jobs""#), [format!(r#"Q 432["{not_mine}"]"#)]);
    assert_eq!(stage.emit(q, 3, r#""DESTROY_API""#), ["Q 433[null]"]);
    assert_eq!(stage.emit(q, None, r#""USE_API","jobs""#), [r#"P 42["jobs"]"#]);
    assert_eq!(stage.emit(p, 4, r#""DESTROY_API","jobs""#), ["P 434[null]"]);
    assert_eq!(stage.emit(p, None, r#""DESTROY_API","jobs""#), [error("P", not_mine)]);
    assert_eq!(stage.emit(q, 5, r#""CREATE_API","jobs""#), ["Q 435[null]"]);
    stage.world.hub.devices.check();
}

#[test]
fn without_a_name_all_of_ones_own_are_destroyed() {
    for nothing in ["", r#",null"#, r#","""#] {
        let mut stage = Stage::new();
        let (p, q) = (stage.open(Kin::G5, "P"), stage.open(Kin::G5, "Q"));
        for (who, name) in [(p, "a"), (p, "b"), (q, "c")] {
            stage.emit(who, None, &format!(r#""CREATE_API","{name}""#));
        }
        assert!(stage.emit(p, None, &format!(r#""DESTROY_API"{nothing}"#)).is_empty());
        for (name, is_there) in [("a", false), ("b", false), ("c", true)] {
            assert_eq!(stage.emit(p, 1, &format!(r#""CHECK_API_NAME","{name}""#)), [format!("P 431[{is_there}]")]);
        }
        stage.world.hub.devices.check();
    }
}

#[test]
fn services_have_names_and_a_number() {
    let mut stage = Stage::new();
    stage.world.config.limits.max_rooms = 2;
    let p = stage.open(Kin::G5, "P");
    let long = format!(r#""CREATE_API","{}""#, "n".repeat(256));
    for (event, why) in [
        (r#""CREATE_API""#, "CREATE_API: the name is not a string"),
        (r#""CREATE_API",null"#, "CREATE_API: the name is not a string"),
        (r#""CREATE_API","""#, "CREATE_API: the name is empty"),
        (&long, "CREATE_API: the name has more than 255 bytes (--max-name)"),
    ] {
        assert_eq!(stage.emit(p, 1, event), [format!(r#"P 431["Error: {why}"]"#)]);
    }
    // The first to have this event said who it was.
    assert_eq!(stage.emit(p, 1, r#""CREATE_API","P","a""#), ["P 431[null]"]);
    assert_eq!(stage.emit(p, 1, r#""CREATE_API",7"#), ["P 431[null]"]);
    assert_eq!(
        stage.emit(p, 1, r#""CREATE_API","c""#),
        [r#"P 431["Error: CREATE_API: too many services (--max-rooms)"]"#]
    );
    assert_eq!(stage.emit(p, None, r#""USE_API",7,1"#), [r#"P 42["7",1]"#]);
    for name in ["__proto__", "constructor", "hasOwnProperty"] {
        assert_eq!(stage.emit(p, 2, &format!(r#""CHECK_API_NAME","{name}""#)), ["P 432[false]"]);
        assert_eq!(
            stage.emit(p, None, &format!(r#""USE_API","{name}""#)),
            [error("P", &format!("Error: API is not registered: {name}"))]
        );
    }
    for name in ["", ",null", ",{}"] {
        assert_eq!(stage.emit(p, None, &format!(r#""USE_API"{name}"#)), [error("P", "Error: API is not registered: ")]);
    }
}
