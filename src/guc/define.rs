//! How a setting is defined and read.

use std::ffi::{CStr, CString, c_char, c_void};

use chrono::TimeDelta;
use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting};
use pgrx::pg_sys;

pub fn define_text(
    name: &'static CStr,
    short: &'static CStr,
    long: &'static CStr,
    setting: &'static GucSetting<Option<CString>>,
    flags: GucFlags,
) {
    GucRegistry::define_string_guc(name, short, long, setting, GucContext::Sighup, flags);
}

pub type Check =
    unsafe extern "C-unwind" fn(*mut *mut c_char, *mut *mut c_void, pg_sys::GucSource::Type) -> bool;

/// A text that is refused, wherever it is set, when `check` says no.
pub fn define_checked_text(
    name: &'static CStr,
    short: &'static CStr,
    long: &'static CStr,
    setting: &'static GucSetting<Option<CString>>,
    check: Check,
) {
    let (context, flags) = (GucContext::Sighup, GucFlags::default());
    // SAFETY: the check is guarded; it keeps nothing of what it is shown.
    unsafe {
        GucRegistry::define_string_guc_with_hooks(
            name,
            short,
            long,
            setting,
            context,
            flags,
            Some(check),
            None,
            None,
        );
    }
}

/// The text that a check is shown.
pub unsafe fn shown(value: *mut *mut c_char) -> String {
    // SAFETY: a pointer to a C string, or to none.
    unsafe {
        if (*value).is_null() { String::new() } else { CStr::from_ptr(*value).to_string_lossy().into_owned() }
    }
}

/// Whether it was; else the server says why not, in the log or to whoever sets it.
pub fn is_understood<T>(read: std::result::Result<T, String>) -> bool {
    let Err(why) = read else { return true };
    let why = CString::new(why).unwrap_or_default();
    // SAFETY: what the server's own macro does: the text lies in the memory of errors, which outlives the report.
    unsafe {
        pg_sys::GUC_check_errdetail_string = pg_sys::MemoryContextStrdup(pg_sys::ErrorContext, why.as_ptr())
    };
    false
}

pub fn define_number(
    name: &'static CStr,
    short: &'static CStr,
    long: &'static CStr,
    setting: &'static GucSetting<i32>,
    (least, most): (i32, i32),
    flags: GucFlags,
) {
    GucRegistry::define_int_guc(name, short, long, setting, least, most, GucContext::Sighup, flags);
}

pub fn text(setting: &GucSetting<Option<CString>>) -> Option<String> {
    let value = setting.get()?.to_string_lossy().trim().to_owned();
    (!value.is_empty()).then_some(value)
}

pub fn seconds(setting: &GucSetting<i32>) -> TimeDelta {
    TimeDelta::seconds(i64::from(setting.get()))
}

pub fn count(setting: &GucSetting<i32>) -> i64 {
    i64::from(setting.get())
}
