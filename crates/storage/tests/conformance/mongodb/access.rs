//! A server or a database that is not the right one, or does not let us in.

use wise_storage::ports::DefinitionStore;
use wise_storage::{MongoOptions, MongoStore};
use wise_testbed::Mongo;

use super::*;
use crate::{START, added, embedded};

#[test]
fn a_spool_and_a_database_that_do_not_belong_together_are_refused() {
    for server in servers() {
        let [spool, other, third] = [(); 3].map(|()| tempfile::tempdir().unwrap());
        let store = open(options(&server, spool.path(), "a"));
        added(&store, "shop");
        drop(store);
        let attempt = |options: MongoOptions| {
            MongoStore::open(options, START, &mut |_| false).map(drop).map_err(|error| error.to_string())
        };
        let mut elsewhere = options(&server, spool.path(), "a");
        elsewhere.url = format!("{}/another", server.url());
        let of_another = MongoOptions { spool: embedded(third.path()), ..elsewhere.clone() };
        let refused = attempt(elsewhere).unwrap_err();
        assert!(refused.contains("not the one that the spool in"), "{refused}");
        // One that could not begin does not keep others from it.
        attempt(of_another).unwrap();
        let embedded_store = wise_storage::SqliteStore::open(&embedded(other.path()), START).unwrap();
        added(&embedded_store, "mine");
        drop(embedded_store);
        let refused = attempt(options(&server, other.path(), "a")).unwrap_err();
        assert!(refused.contains("migrate"), "{refused}");
        let mut wrong = options(&server, tempfile::tempdir().unwrap().path(), "a");
        wrong.url = "mongodb://me:hun/ter2@127.0.0.1:1/x".to_owned();
        let refused = attempt(wrong).unwrap_err();
        assert!(refused.contains("storage.url") && !refused.contains("ter2"), "{refused}");
        // Still well.
        assert_eq!(open(options(&server, spool.path(), "a")).monitors().unwrap().len(), 1);
    }
}

/// Runs a command as an operator would with a shell.
fn command(server: &Mongo, database: &str, command: mongodb::bson::Document) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = mongodb::Client::with_uri_str(server.url()).await.expect("a client");
        client.database(database).run_command(command).await.expect("it is done");
        client.shutdown().immediate(true).await;
    });
}

#[test]
fn a_login_that_is_refused_or_may_not_write_is_named_and_its_password_is_not() {
    for program in Mongo::programs() {
        if program.ends_with("mongod") {
            // It makes its first user over the loopback exception, and then grants nothing without a login.
            continue;
        }
        let server = Mongo::start(&program, &[]);
        for (user, role) in [("writer", "readWrite"), ("reader", "read")] {
            let roles = vec![mongodb::bson::doc! { "role": role, "db": "wise" }];
            command(
                &server,
                "wise",
                mongodb::bson::doc! { "createUser": user, "pwd": "s3cret-pw", "roles": roles },
            );
        }
        let server = server.with_options(&["--auth"]);
        let begun = |url: String| {
            let spool = tempfile::tempdir().unwrap();
            let options = MongoOptions { url, ..options(&server, spool.path(), "a") };
            let opened = MongoStore::open(options, START, &mut |holder| panic!("{holder}: {FREE}"));
            opened
                .map(|store| added(&store, "shop"))
                .map_err(|error| (error.to_string(), format!("{error:?}")))
        };
        let url = |user: &str, password: &str, rest: &str| {
            format!("mongodb://{user}:{password}@127.0.0.1:{}/wise{rest}", server.port)
        };
        begun(url("writer", "s3cret-pw", "")).unwrap();
        let bad = [
            (url("writer", "wr0ng-pw", ""), "refuses the login: check user, password and authSource"),
            (url("reader", "s3cret-pw", ""), "MongoDB does not allow it"),
            (url("writer", "s3cret-pw", "?w=none&retryWrites=s3cret-pw"), "storage.url is no MongoDB URL"),
            (url("writer", "s3cret-pw/", ""), "storage.url is no MongoDB URL"),
        ];
        for (url, wanted) in bad {
            let (text, debug) = begun(url).unwrap_err();
            assert!(text.contains(wanted), "{text}");
            for secret in ["s3cret-pw", "wr0ng-pw"] {
                assert!(!text.contains(secret) && !debug.contains(secret), "{text} {debug}");
            }
        }
    }
}
