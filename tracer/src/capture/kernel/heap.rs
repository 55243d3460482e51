//! How much freed memory the process keeps. It must not know what the memory was for.

/// Has memory given back that is needed only for loading: aya takes the kernel's types apart into some 15 MB. glibc takes
/// the largest block that was ever freed for the measure of what it keeps, but leaves a measure that was set
/// (mallopt(3), "dynamic mmap threshold"). To be called before anything is loaded. Other C libraries keep less by themselves.
pub fn keep_little() {
    #[cfg(target_env = "gnu")]
    for (parameter, bytes) in
        [(libc::M_MMAP_THRESHOLD, MAPPED_BY_ITSELF), (libc::M_TRIM_THRESHOLD, KEPT_AT_MOST)]
    {
        // SAFETY: it takes two numbers, and touches nothing but the allocator's settings, under its lock.
        #[expect(unsafe_code, reason = "no safe crate offers it")]
        unsafe {
            libc::mallopt(parameter, bytes);
        }
    }
}

/// glibc's own first value: a block of this size or more is mapped by itself, and unmapped when it is freed.
#[cfg(target_env = "gnu")]
const MAPPED_BY_ITSELF: i32 = 128 << 10;
/// Free bytes at the end of the heap before they are given back: enough to not ask the kernel for each batch anew.
#[cfg(target_env = "gnu")]
const KEPT_AT_MOST: i32 = 512 << 10;
