//! The only module that calls C: one Verilator model, reached through seven functions that `build` writes for each top.

use std::ffi::{CString, c_char, c_int, c_uint, c_ulonglong, c_void};
use std::path::Path;

/// The C++ object.
pub type Handle = *mut c_void;

/// The functions of one top. They belong together: `new` makes what the others take.
pub struct Functions {
    pub new: extern "C" fn(c_int) -> Handle,
    pub delete: unsafe extern "C" fn(Handle),
    pub eval: unsafe extern "C" fn(Handle),
    pub port: unsafe extern "C" fn(Handle, c_uint, *mut c_uint) -> *mut c_void,
    pub memory: unsafe extern "C" fn(Handle, c_uint, *mut c_uint) -> *const c_void,
    pub trace: unsafe extern "C" fn(Handle, *const c_char) -> c_int,
    pub dump: unsafe extern "C" fn(Handle, c_ulonglong),
}

/// A model and where its ports lie.
pub struct Model {
    functions: Functions,
    handle: Handle,
    /// Address and size in bytes; both stay as long as the model.
    ports: Vec<(*mut c_void, usize)>,
    time: u64,
    /// Evaluations after which it gives up.
    limit: u64,
}

/// `DIFFUSER_EVALUATIONS`: how often a model may be evaluated (several times a cycle) before it panics; for RTL that may hang.
fn limit() -> u64 {
    let given = std::env::var("DIFFUSER_EVALUATIONS").ok();
    given.map_or(u64::MAX, |n| {
        n.parse().expect("DIFFUSER_EVALUATIONS is a number")
    })
}

/// What a port can be held in: any bit pattern is a value.
pub trait PortType: Copy {
    /// How the C++ side stores it.
    type Stored: Copy;
    fn from_stored(stored: Self::Stored) -> Self;
    fn to_stored(self) -> Self::Stored;
}

macro_rules! stored_as_itself {
    ($($t:ty),*) => {$(
        impl PortType for $t {
            type Stored = $t;
            fn from_stored(stored: $t) -> Self { stored }
            fn to_stored(self) -> $t { self }
        }
    )*};
}
stored_as_itself!(u8, u16, u32, u64);

impl<const N: usize> PortType for [u32; N] {
    type Stored = [u32; N];
    fn from_stored(stored: Self) -> Self {
        stored
    }
    fn to_stored(self) -> Self {
        self
    }
}

impl PortType for bool {
    type Stored = u8;
    fn from_stored(stored: u8) -> Self {
        stored != 0
    }
    fn to_stored(self) -> u8 {
        u8::from(self)
    }
}

impl Model {
    /// `inputs`: for each port whether it is an input; those begin as zero.
    pub fn new(functions: Functions, inputs: &[bool], seed: i32) -> Self {
        let handle = (functions.new)(seed);
        let port = |i: usize| {
            let mut size = 0;
            // SAFETY: `handle` was just made by `new` of the same top, `size` outlives the call.
            let at = unsafe { (functions.port)(handle, i as c_uint, &raw mut size) };
            (at, size as usize)
        };
        let ports: Vec<_> = (0..inputs.len()).map(port).collect();
        for (&(at, size), _) in ports.iter().zip(inputs).filter(|(_, input)| **input) {
            // SAFETY: the C++ side has `size` bytes at `at`, of a type for which zero is a value.
            unsafe { at.cast::<u8>().write_bytes(0, size) }
        }
        let mut model = Self {
            functions,
            handle,
            ports,
            time: 0,
            limit: limit(),
        };
        model.eval();
        model
    }

    pub fn eval(&mut self) {
        // SAFETY: `handle` lives until `drop`; `&mut self` keeps others off it.
        unsafe {
            (self.functions.eval)(self.handle);
            (self.functions.dump)(self.handle, self.time);
        }
        self.time += 1;
        assert!(
            self.time < self.limit,
            "no end after {} evaluations",
            self.limit
        );
    }

    pub fn get<T: PortType>(&self, port: usize) -> T {
        let (at, size) = self.ports[port];
        assert_eq!(size, size_of::<T::Stored>(), "size of port {port}");
        // SAFETY: the C++ side has `size` initialised bytes of that type at `at` as long as the model lives.
        T::from_stored(unsafe { at.cast::<T::Stored>().read() })
    }

    pub fn set<T: PortType>(&mut self, port: usize, value: T) {
        let (at, size) = self.ports[port];
        assert_eq!(size, size_of::<T::Stored>(), "size of port {port}");
        // SAFETY: as in `get`; `&mut self` makes the access the only one.
        unsafe { at.cast::<T::Stored>().write(value.to_stored()) }
    }

    /// Word `word` of array `memory`, which has `depth` words of `width` bits (the build script says so).
    pub fn peek(&self, memory: usize, word: usize, (width, depth): (usize, usize)) -> Vec<u32> {
        assert!(word < depth, "word {word} of {depth}");
        let mut size = 0;
        // SAFETY: `handle` lives, `size` outlives the call.
        let at = unsafe { (self.functions.memory)(self.handle, memory as c_uint, &raw mut size) };
        let size = size as usize;
        assert!(size * 8 >= width && !at.is_null(), "array {memory}");
        let mut bytes = vec![0; size.next_multiple_of(4)];
        // SAFETY: the array has a word `word` (checked; its length comes from the C++ side's header), of `size` bytes.
        unsafe {
            at.cast::<u8>()
                .add(word * size)
                .copy_to(bytes.as_mut_ptr(), size)
        }
        bytes
            .chunks(4)
            .map(|b| u32::from_ne_bytes([b[0], b[1], b[2], b[3]]))
            .collect()
    }

    pub fn trace(&mut self, path: &Path) {
        let text = CString::new(path.to_string_lossy().as_bytes()).expect("a path without NUL");
        // SAFETY: `handle` lives, `text` outlives the call, which copies it.
        let opened = unsafe { (self.functions.trace)(self.handle, text.as_ptr()) };
        assert!(
            opened != 0,
            "no waveform to {}: built without DIFFUSER_TRACE=1, or not writable",
            path.display()
        );
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        // SAFETY: made by `new` of the same top and deleted only here.
        unsafe { (self.functions.delete)(self.handle) }
    }
}
