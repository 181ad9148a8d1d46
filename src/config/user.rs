//! `[[user]]`: the devices that may register, and how a registrar is told of them.

use super::schema::tenant_of;
use super::section::{Found, Section};
use super::trunk::password;
use super::{Registrar, Tenant, User};

/// All users that are in order. Two of one tenant and name are a mistake.
pub fn users(sections: Vec<Section>, tenants: &[Tenant], registrar: Registrar) -> Vec<User> {
    let mut users: Vec<User> = Vec::new();
    for mut section in sections {
        let name = match section.required("name", "alice") {
            Some(found) => section.read("name", found, user_name),
            None => None,
        };
        let tenant = tenant_of(&mut section, tenants);
        let before = section.faults_so_far();
        let password = password(&mut section);
        if let Some(Found { value: name, place }) = name {
            if users.iter().any(|user| user.name == name && user.tenant == tenant) {
                section.fault(&place, format!("there is a [[user]] \"{name}\" of tenant \"{tenant}\" already"));
            }
            if password.is_none() && registrar == Registrar::Digest && section.faults_so_far() == before {
                section.fault(&place, format!("[[user]] \"{name}\" has no password; write password_file = \"…\""));
            }
            users.push(User { name, tenant, password });
        }
        section.finish();
    }
    users
}

fn user_name(text: &str) -> Result<String, &'static str> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.!~*'()+=$,".contains(c);
    if (1..=64).contains(&text.len()) && text.chars().all(fits) {
        Ok(text.to_owned())
    } else {
        Err("write the user part of its SIP address (\"alice\", \"1001\"), without the domain")
    }
}
