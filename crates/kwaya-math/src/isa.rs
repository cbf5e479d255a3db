//! Which instructions the kernels are compiled for, chosen at run time.
//!
//! Every kernel is written once, in plain Rust over slices and `mul_add`, and
//! compiled several times: the compiler may use wider vectors, but it may not
//! change the order of a sum or leave out a rounding, so all versions give
//! the same bits. `KWAYA_ISA` forces one.

use std::sync::OnceLock;

/// An instruction set that kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Isa {
    /// x86-64 with AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// What the target has without asking: NEON on AArch64; on x86-64
    /// without FMA, a slow but equal emulation.
    Portable,
}

/// The instruction set in use.
///
/// # Panics
/// When `KWAYA_ISA` names one that this machine does not have: a wrong
/// request must not pass for a right one.
pub(crate) fn current() -> Isa {
    static CURRENT: OnceLock<Isa> = OnceLock::new();
    *CURRENT.get_or_init(|| choose(std::env::var("KWAYA_ISA").ok().as_deref()))
}

fn choose(asked: Option<&str>) -> Isa {
    #[cfg(target_arch = "x86_64")]
    let best = if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
        Isa::Avx2
    } else {
        Isa::Portable
    };
    #[cfg(not(target_arch = "x86_64"))]
    let best = Isa::Portable;
    match asked {
        None | Some("") => best,
        Some("portable") => Isa::Portable,
        Some(name) if name == label(best) => best,
        Some(other) => panic!("KWAYA_ISA={other}: this machine has {} and portable", label(best)),
    }
}

fn label(isa: Isa) -> &'static str {
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => "avx2",
        Isa::Portable => "portable",
    }
}

/// The name of the instruction set in use, as `KWAYA_ISA` spells it.
pub fn isa() -> &'static str {
    label(current())
}

/// Compiles a function for each instruction set and chooses at each call.
/// The body must be plain Rust; every function it calls must be
/// `#[inline(always)]`, or it would stay outside the vectorised version.
macro_rules! kernel {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments, reason = "kernels take slices and sizes")]
        $vis fn $name($($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            #[allow(clippy::too_many_arguments, reason = "kernels take slices and sizes")]
            fn body($($arg: $ty),*) $(-> $ret)? $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,fma")]
                #[allow(clippy::too_many_arguments, reason = "kernels take slices and sizes")]
                fn avx2($($arg: $ty),*) $(-> $ret)? {
                    body($($arg),*)
                }
                if $crate::isa::current() == $crate::isa::Isa::Avx2 {
                    // SAFETY: `current` found these instructions on this machine.
                    return unsafe { avx2($($arg),*) };
                }
            }
            body($($arg),*)
        }
    };
}
pub(crate) use kernel;
