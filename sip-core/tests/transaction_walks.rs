//! No sequence of inputs takes a transaction to an illegal state, lets it act out of turn, or leaves a timer behind: the
//! fuzz target `transaction_ops` on random inputs.

use proptest::prelude::*;
use sip_core::transaction::fuzz::transaction_ops;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16_000))]

    #[test]
    fn a_transaction_keeps_only_its_states_timers_and_speaks_once(data in prop::collection::vec(any::<u8>(), 0..40)) {
        transaction_ops(&data);
    }
}
