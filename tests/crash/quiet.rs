//! With a healthy link the disk is left alone: not a byte is written to the state directory, and nothing is flushed.

use std::fs;

use crate::books::WAITS;
use crate::house::{House, Plan};
use crate::program::Program;
use crate::service::Service;
use crate::trap::strace;

/// Every call that changes a file or a folder; those that a machine does not have are passed over.
const CHANGES: &str = "write,pwrite64,writev,pwritev,pwritev2,ftruncate,truncate,fallocate,fsync,fdatasync,syncfs,sync,\
    ?open,openat,?creat,?rename,?renameat,?renameat2,?unlink,unlinkat,?mkdir,mkdirat,?link,linkat,?symlink,symlinkat,\
    ?chmod,fchmod,fchmodat,?utime,utimensat,copy_file_range,sendfile";

/// Lets the daemon work for so many slots of two seconds and looks at every call that touches the state directory.
fn leaves_the_disk_alone(slots: usize) {
    let service = Service::start();
    let mut house = House::of(&service, &Plan { write_after: "60s", ..Plan::default() });
    let traced = strace(CHANGES, &house.command(), &house.path("seen"), |_| {});
    let mut program: Program = house.run_as(traced);
    for _ in 0..slots {
        program.wait_for(WAITS);
        program.wait_for("stored as");
    }
    let state = house.state().display().to_string();
    let seen = house.seen();
    let runtime = house.runtime().display().to_string();
    assert!(seen.contains(&runtime), "strace sees what is written to the runtime directory");
    let touched: Vec<_> = seen
        .lines()
        .filter(|line| line.contains(&state))
        .filter(|line| !(line.contains("open") && line.contains("O_RDONLY") && !line.contains("O_CREAT")))
        .collect();
    assert!(touched.is_empty(), "{touched:#?}");
    let files: Vec<_> = fs::read_dir(house.state()).expect("it is there").collect();
    assert!(files.is_empty(), "{files:?}");
    let written = seen.lines().filter(|line| line.contains(&runtime) && line.contains("write(")).count();
    println!("{slots} entries: 0 bytes, 0 flushes in the state directory; {written} writes in the runtime directory");
    println!("healthy: {}", house.close(program, &|| service.rows()));
}

#[test]
fn a_healthy_minute_writes_nothing_to_the_disk() {
    leaves_the_disk_alone(30);
}

#[test]
#[ignore = "takes ten minutes: `just proof disk`"]
fn ten_healthy_minutes_write_nothing_to_the_disk() {
    leaves_the_disk_alone(300);
}
