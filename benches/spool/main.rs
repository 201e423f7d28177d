//! What the spool costs: bytes and flushes an entry, memory with a backlog, and time. `just bench` runs it.

mod costs;
mod memory;
mod rates;
mod station;

fn main() {
    if memory::is_the_other_process() {
        return;
    }
    costs::print();
    memory::print();
    divan::main();
}
