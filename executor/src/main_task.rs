//! Main: a task without a cell.
//!
//! The future that `block_on` was given may borrow, so it stays on `block_on`'s stack. Its place in the run queue is a task like any
//! other, whose poll says that it is main's turn; so main is neither favoured nor starved.

use std::panic::Location;
use std::rc::Rc;

use crate::layer::Ending;
use crate::machine::core::Core;
use crate::machine::header::Header;
use crate::machine::task::{Progress, Run};
use crate::machine::waker::TaskId;
use crate::observe::Event;

/// The place in the run queue of the future that `block_on` was given.
#[repr(transparent)]
pub(crate) struct Main(pub(crate) Header);

// SAFETY: it is a header.
unsafe impl Run for Main {
    fn poll(&self, _: TaskId) -> Progress {
        Progress::Main
    }

    fn discard(&self) {}

    fn cut(&self) {}
}

impl Core {
    /// Main's place in the run queue; made by the first `block_on`, and queued.
    pub(crate) fn queue_main(&self, at: &'static Location<'static>) -> TaskId {
        self.asked.set(0);
        self.main_at.set(Some(at));
        if self.main.get() == TaskId::NONE {
            self.slots.expect_room();
            let main = Rc::new(Main(Header::new(at, None, Ending::Dropped, self.address.incarnation)));
            let id = self.slots.insert_task(Rc::clone(&main) as Rc<dyn Run>);
            main.0.id.set(id);
            self.main.set(id);
            self.observe(|| Event::Spawned { task: id, name: Some("main"), at });
        } else {
            self.mark(self.main.get());
        }
        self.main.get()
    }
}
