//! Grants: three levels for roles, all tenants or one.
