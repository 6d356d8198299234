//! Kernels compiled twice: for any processor, and for those with 256-bit vectors.

/// Defines a function whose body is compiled for any processor and again for x86 with AVX2; a call takes the one
/// that the processor can run. Both do the same operations in the same order, so they give the same bits.
macro_rules! wide {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $type:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $(#[$meta])*
        $vis fn $name($($arg: $type),*) $(-> $ret)? {
            #[inline(always)]
            fn any($($arg: $type),*) $(-> $ret)? $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2")]
                fn avx2($($arg: $type),*) $(-> $ret)? {
                    any($($arg),*)
                }
                if std::is_x86_feature_detected!("avx2") {
                    #[expect(unsafe_code, reason = "the compiler cannot know what processor this runs on")]
                    // SAFETY: the processor was asked whether it has AVX2.
                    return unsafe { avx2($($arg),*) };
                }
            }
            any($($arg),*)
        }
    };
}

pub(crate) use wide;
