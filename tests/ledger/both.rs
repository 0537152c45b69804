//! Each test body, over both databases.

use crate::books;
use crate::disputes;
use crate::postgres::Postgres;
use crate::proofs;
use crate::versions;
use lafs_clearinghouse::ledger::Location;

/// One test for each body over SQLite, and one that runs all of them over PostgreSQL, for which a server takes seconds to
/// start.
macro_rules! bodies {
    ($($module:ident $name:ident)*) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $name() {
                let folder = tempfile::tempdir().unwrap();
                super::$module::$name(super::Location::Sqlite(folder.path().join("ledger.sqlite"))).await;
            })*
        }

        #[tokio::test]
        async fn postgresql_does_all_that_sqlite_does() {
            let Some(server) = Postgres::start() else { return };
            $(
                println!("{}", stringify!($name));
                $module::$name(server.database(stringify!($name))).await;
            )*
        }
    };
}

bodies! {
    books a_voucher_is_billed_once_whatever_is_repeated_or_reordered
    books many_at_once_come_to_the_same
    books a_voucher_of_an_unknown_lane_fails_alone
    books a_restart_finds_lanes_as_they_were
    books a_payee_is_shown_lanes_that_are_open_and_what_it_was_not_told
    books a_gateway_is_told_what_the_others_have_under_way
    books what_was_sent_and_never_vouched_for_stays_charged
    books a_payment_is_booked_once
    books files_are_forgotten_and_sums_are_not
    books usage_sums_to_what_was_vouched_for
    books a_sum_that_does_not_fit_is_refused_and_changes_nothing
    books what_was_undone_with_another_act_is_booked_again_in_full
    proofs verify_computes_the_books_again
    proofs every_change_by_hand_is_named
    proofs positions_tell_what_was_booked_since_and_form_one_chain
    proofs a_netting_moves_debts_once_and_nobody_gains
    disputes a_dispute_is_kept_once_and_closed_by_somebody
    disputes lanes_with_a_grid_are_those_of_both_directions
    disputes a_dispute_that_was_changed_by_hand_is_named
    versions books_of_an_older_program_are_gone_on_with
}
