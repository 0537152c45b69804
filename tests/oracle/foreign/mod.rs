//! Files of a real grid, as the program `clearinghouse` brings them to somebody whose home is another grid: through both
//! gateways, compared with what the real client stored.
//!
//! A real grid takes seconds to raise, so that all of it is one test over one grid. Whatever stops storage servers or touches
//! shares comes last.

mod browser;
mod corruption;
mod directories;
mod files;
mod program;
mod servers;
mod web;
mod wire;

mod network {
    use super::{browser, corruption, directories, files, program, servers, web, wire};
    use crate::two_grids::TwoGrids;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::time::Instant;

    #[test]
    fn what_a_real_client_stored_comes_to_another_grid_as_it_was() {
        let began = Instant::now();
        let Some(mut grids) = TwoGrids::start() else { return };
        println!("{:>6.1?}  the grids stand", began.elapsed());
        let mut failed = Vec::new();
        for (what, prove) in [
            ("every size of every kind", files::every_size as fn(&mut TwoGrids)),
            ("every encoding", files::every_encoding),
            ("what does not come", files::what_opens_nothing),
            ("what is too large", files::what_is_too_large),
            ("directories", directories::of_every_kind),
            ("trees", directories::trees_and_what_is_left_out_of_them),
            ("`get` as it is used", program::to_standard_output_and_by_ranges),
            ("a terminal", program::a_bar_on_a_terminal),
            ("broken off", program::what_was_broken_off_goes_on),
            ("the web address", web::as_a_real_client_answers),
            ("a browser", browser::plays_a_film_and_seeks_in_it),
            ("bad requests over TLS", wire::what_a_gateway_is_not_asked_for),
            ("changed shares", corruption::on_the_disks),
            ("changed shares, to the reader", corruption::as_the_reader_is_told),
            ("storage servers that stopped", servers::any_that_can_be_spared),
        ] {
            // The whole picture at once: what fails does not hide what comes after it.
            let proved = catch_unwind(AssertUnwindSafe(|| prove(&mut grids)));
            println!("{:>6.1?}  {what}", began.elapsed());
            failed.extend(proved.is_err().then_some(what));
        }
        grids.end();
        assert_eq!(failed, Vec::<&str>::new());
    }
}
