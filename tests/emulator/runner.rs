//! Compiles kernels and runs them, each call in a process of its own: a kernel
//! that faults, deadlocks or diverges is an error here, and nothing else.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex, OnceLock};

use cairn::backend::kernels::{Dims, HostArray, KernelSpec, Runner};

use super::unit::unit;

const SHIM: &[(&str, &str)] = &[
    ("types.hpp", include_str!("shim/types.hpp")),
    ("math.hpp", include_str!("shim/math.hpp")),
    ("runtime.hpp", include_str!("shim/runtime.hpp")),
    ("simdgroup.hpp", include_str!("shim/simdgroup.hpp")),
    ("shim.hpp", include_str!("shim/shim.hpp")),
    ("runtime.cpp", include_str!("shim/runtime.cpp")),
];

/// Floats as Metal has them, but nothing contracted or reordered; no checks
/// that some systems switch on and that jumping between stacks sets off.
const FLAGS: &[&str] = &[
    "-std=c++17",
    "-O1",
    "-g1",
    "-w",
    "-Werror=return-type",
    "-ffp-contract=off",
    "-fno-strict-aliasing",
    "-U_FORTIFY_SOURCE",
];

/// For kernels, where the compiler has them: bounds of threadgroup and local
/// arrays, what C++ leaves undefined, and a pattern in uninitialised variables.
const STRICT: &[(Option<Ability>, &str)] = &[
    (None, "-fsingle-precision-constant"),
    (None, "-fno-sanitize-recover=all"),
    (Some(Ability::Bounds), "-fsanitize=address"),
    (
        Some(Ability::Undefined),
        "-fsanitize=shift,alignment,signed-integer-overflow,integer-divide-by-zero",
    ),
    (Some(Ability::Patterns), "-ftrivial-auto-var-init=pattern"),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Forward,
    Reversed,
}

/// The compiler and what it can do; made once.
struct Compiler {
    program: String,
    folder: PathBuf,
    runtime: PathBuf,
    flags: Vec<&'static str>,
    strict: Vec<&'static str>,
    abilities: Vec<Ability>,
    /// Of program, flags and shim; part of every executable's name.
    hash: u64,
}

/// What of a mistake can only be seen with help from the compiler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ability {
    /// Bounds of threadgroup and local arrays, to the byte.
    Bounds,
    /// Shifts, alignment, overflow.
    Undefined,
    /// Local variables that nothing was assigned to.
    Patterns,
}

/// Runs kernels in the emulator, in both lane orders.
#[derive(Clone, Copy)]
pub struct EmuRunner {
    compiler: &'static Compiler,
    /// Seconds that a call may take.
    limit: usize,
}

type Built = Arc<OnceLock<Result<PathBuf, String>>>;
static BUILT: Mutex<Option<HashMap<u64, Built>>> = Mutex::new(None);

impl EmuRunner {
    /// `None` if there is no C++ compiler, or no Linux, which is said loudly: on
    /// a Mac `cairn selftest-kernels` runs them on the device itself.
    ///
    /// # Panics
    /// If there is no compiler although `CAIRN_REQUIRE_EMULATOR=1` asks for it, or
    /// if the emulator itself does not compile.
    pub fn new() -> Option<Self> {
        static COMPILER: OnceLock<Option<Compiler>> = OnceLock::new();
        let linux = cfg!(target_os = "linux");
        let message = if linux {
            "NO C++ COMPILER (`c++`, or $CXX): THE KERNELS' EMULATOR TESTS DID NOT RUN"
        } else {
            "NO LINUX: THE KERNELS' EMULATOR TESTS DID NOT RUN"
        };
        let compiler = COMPILER.get_or_init(|| {
            let found = linux.then(Compiler::find).flatten();
            if found.is_none() {
                say(message);
            }
            found
        });
        let required = std::env::var_os("CAIRN_REQUIRE_EMULATOR").is_some_and(|v| v == "1");
        assert!(compiler.is_some() || !required || !linux, "{message}");
        compiler.as_ref().map(|compiler| Self {
            compiler,
            limit: 300,
        })
    }

    pub fn with_limit(self, seconds: usize) -> Self {
        Self {
            limit: seconds,
            ..self
        }
    }

    pub fn has(&self, ability: Ability) -> bool {
        self.compiler.abilities.contains(&ability)
    }

    /// One call in one lane order.
    ///
    /// # Errors
    /// What the compiler or the emulator says.
    pub fn run_in(
        &self,
        order: Order,
        spec: &KernelSpec,
        dims: &Dims,
        inputs: &[HostArray],
    ) -> Result<Vec<HostArray>, String> {
        let program = self.executable(&unit(spec, dims, inputs)?.text)?;
        let output = execute(&program, &request(order, self.limit, spec, dims, inputs))?;
        let mut at = 0;
        let mut arrays = Vec::new();
        for port in spec.outputs {
            let shape = port.shape(dims);
            let size = shape.iter().product::<usize>() * port.elements[0].size();
            let bytes = output.get(at..at + size).ok_or("the output is cut short")?;
            at += size;
            arrays.extend(HostArray::from_bytes(&shape, port.elements[0], bytes));
        }
        Ok(arrays)
    }

    /// The program for a unit, compiled unless that was done before.
    ///
    /// # Errors
    /// What the compiler says.
    pub fn executable(&self, text: &str) -> Result<PathBuf, String> {
        let mut hasher = DefaultHasher::new();
        (self.compiler.hash, text).hash(&mut hasher);
        let hash = hasher.finish();
        let built = {
            let mut all = BUILT.lock().unwrap();
            all.get_or_insert_default().entry(hash).or_default().clone()
        };
        // Other units compile meanwhile; the same one waits here.
        built
            .get_or_init(|| self.compiler.build(hash, text))
            .clone()
    }
}

impl Runner for EmuRunner {
    fn device(&self) -> String {
        "emulator".into()
    }

    /// Both orders must give the same bits.
    fn run(
        &self,
        spec: &KernelSpec,
        dims: &Dims,
        inputs: &[HostArray],
    ) -> Result<Vec<HostArray>, String> {
        let forward = self.run_in(Order::Forward, spec, dims, inputs)?;
        let reversed = self.run_in(Order::Reversed, spec, dims, inputs)?;
        let same = forward
            .iter()
            .zip(&reversed)
            .all(|(a, b)| a.to_bytes() == b.to_bytes());
        if !same {
            return Err("the order in which lanes run changes the result: a race".into());
        }
        Ok(forward)
    }
}

/// Past the test harness, which captures what passing tests print.
pub fn say(message: &str) {
    let _ = writeln!(std::io::stderr(), "\n*** {message} ***\n");
}

/// A call as the runtime reads it.
fn request(
    order: Order,
    limit: usize,
    spec: &KernelSpec,
    dims: &Dims,
    inputs: &[HostArray],
) -> Vec<u8> {
    let mut bytes = Vec::new();
    let word = |x: usize| u32::try_from(x).unwrap().to_le_bytes();
    bytes.extend(word(limit));
    bytes.extend(word(usize::from(order == Order::Reversed)));
    for extent in (spec.grid)(dims)
        .into_iter()
        .chain((spec.threadgroup)(dims))
    {
        bytes.extend(word(extent));
    }
    let mut array = |shape: &[usize], size: usize, elements: &[u8]| {
        bytes.extend(word(shape.len()));
        for &extent in shape {
            bytes.extend(word(extent));
        }
        bytes.extend((size as u64).to_le_bytes());
        bytes.extend(elements);
    };
    for input in inputs {
        let elements = input.to_bytes();
        array(&input.shape, elements.len(), &elements);
    }
    for port in spec.outputs {
        let shape = port.shape(dims);
        let size = shape.iter().product::<usize>() * port.elements[0].size();
        array(&shape, size, &[]);
    }
    bytes
}

/// Runs a program to its end. One whose memory checks can't set themselves up,
/// which some systems' random addresses bring about now and then, gets another
/// chance; a kernel's own faults end the program with an exit status.
fn execute(program: &Path, request: &[u8]) -> Result<Vec<u8>, String> {
    let mut output = execute_once(program, request)?;
    for _ in 0..10 {
        if output.status.code().is_some() {
            break;
        }
        output = execute_once(program, request)?;
    }
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(format!("{}: {}", output.status, complaint(&output)))
}

fn execute_once(program: &Path, request: &[u8]) -> Result<Output, String> {
    let mut child = Command::new(program)
        .env(
            "ASAN_OPTIONS",
            "detect_leaks=0:handle_segv=0:handle_sigbus=0:\
             detect_stack_use_after_return=0:print_legend=0",
        )
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| format!("{}: {e}", program.display()))?;
    // It reads everything before it writes anything. If it dies on the way,
    // its exit status and stderr say why, not the broken pipe.
    if let Some(mut stdin) = child.stdin.take() {
        let _ = stdin.write_all(request);
    }
    child.wait_with_output().map_err(|e| e.to_string())
}

/// The lines of stderr that say what and where, as one.
pub fn complaint(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let telling = |line: &&str| {
        [
            "emulator:",
            "ERROR:",
            "SUMMARY:",
            "runtime error:",
            "error:",
        ]
        .iter()
        .any(|mark| line.contains(mark))
    };
    let lines: Vec<&str> = text.lines().filter(telling).take(4).collect();
    if lines.is_empty() {
        text.lines().take(4).collect::<Vec<_>>().join(" | ")
    } else {
        lines.join(" | ")
    }
}

impl Compiler {
    fn find() -> Option<Self> {
        let program = std::env::var("CXX").unwrap_or_else(|_| "c++".into());
        let version = Command::new(&program).arg("--version").output().ok()?;
        if !version.status.success() {
            return None;
        }
        let mut hasher = DefaultHasher::new();
        (
            &program,
            &version.stdout,
            SHIM,
            FLAGS,
            format!("{STRICT:?}"),
        )
            .hash(&mut hasher);
        let hash = hasher.finish();
        let all = Path::new(env!("CARGO_TARGET_TMPDIR")).join("emulator");
        let folder = all.join(format!("{hash:016x}"));
        if !folder.exists() {
            // What another shim or compiler left is of no use.
            let _ = std::fs::remove_dir_all(&all);
        }
        std::fs::create_dir_all(&folder).unwrap();
        for (name, text) in SHIM {
            replace(&folder.join(name), text);
        }
        let mut compiler = Self {
            program,
            runtime: folder.join("runtime.o"),
            folder,
            flags: FLAGS.to_vec(),
            strict: Vec::new(),
            abilities: Vec::new(),
            hash,
        };
        compiler.build_runtime();
        compiler.choose_flags();
        Some(compiler)
    }

    fn build_runtime(&self) {
        if self.runtime.exists() {
            return;
        }
        let temporary = self.temporary("o");
        let mut command = Command::new(&self.program);
        command.args(&self.flags).arg("-c");
        command
            .arg(self.folder.join("runtime.cpp"))
            .arg("-o")
            .arg(&temporary);
        let result = compile(&mut command);
        assert!(result.is_ok(), "the emulator does not compile: {result:?}");
        std::fs::rename(temporary, &self.runtime).unwrap();
    }

    /// Tries out which of the optional flags this compiler has and which give
    /// programs that start.
    fn choose_flags(&mut self) {
        let empty = "#include \"shim.hpp\"\n\
            const int msl_inputs = 0; const int msl_outputs = 0;\n\
            void msl_kernel(const msl::Array*, const msl::Array*, const msl::Attributes&) {}\n";
        let call: Vec<u8> = [60u32, 0, 1, 1, 1, 1, 1, 1]
            .into_iter()
            .flat_map(u32::to_le_bytes)
            .collect();
        for &(ability, flag) in STRICT {
            self.strict.push(flag);
            let mut hasher = DefaultHasher::new();
            (empty, &self.strict).hash(&mut hasher);
            let built = self.build(hasher.finish(), empty);
            if built.and_then(|program| execute(&program, &call)).is_ok() {
                self.abilities.extend(ability);
            } else {
                self.strict.pop();
                if let Some(ability) = ability {
                    say(&format!(
                        "the compiler lacks {flag}: the emulator can't check {ability:?}"
                    ));
                }
            }
        }
        let mut hasher = DefaultHasher::new();
        (self.hash, &self.strict).hash(&mut hasher);
        self.hash = hasher.finish();
    }

    fn build(&self, hash: u64, text: &str) -> Result<PathBuf, String> {
        let program = self.folder.join(format!("{hash:016x}"));
        if program.exists() {
            return Ok(program);
        }
        let source = program.with_extension("cpp");
        replace(&source, text);
        let temporary = self.temporary("exe");
        let mut command = Command::new(&self.program);
        command.args(&self.flags).args(&self.strict);
        command
            .arg("-I")
            .arg(&self.folder)
            .arg(&source)
            .arg(&self.runtime);
        command.arg("-o").arg(&temporary);
        compile(&mut command)?;
        std::fs::rename(&temporary, &program).map_err(|e| e.to_string())?;
        Ok(program)
    }

    /// A name that no other process or thread uses.
    fn temporary(&self, extension: &str) -> PathBuf {
        static NEXT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let next = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let name = format!("{}-{next}.{extension}", std::process::id());
        self.folder.join(name)
    }
}

fn compile(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|e| e.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("it does not compile: {}", complaint(&output)))
}

/// Written aside and renamed, so that a test running beside this one reads a
/// whole file.
pub fn replace(path: &Path, text: &str) {
    if std::fs::read_to_string(path).is_ok_and(|old| old == text) {
        return;
    }
    let temporary = path.with_extension(format!("{}-tmp", std::process::id()));
    std::fs::write(&temporary, text).unwrap();
    std::fs::rename(temporary, path).unwrap();
}
