//! The configuration, the tools of Pacemaker and what is hidden of a machine.

use crate::script;
use std::fs;
use std::path::Path;

use nix::mount::{MsFlags, mount};

use super::{End, RECORDS, STATE, World};
use crate::shell::sh;

impl World {
    pub(super) fn mounts(&self) {
        let no = None::<&str>;
        let bind = |from: &Path, to: &str| {
            mount(Some(from), to, no, MsFlags::MS_BIND, no).unwrap_or_else(|e| panic!("{to}: {e}"));
        };
        mount(no, "/", no, MsFlags::MS_REC | MsFlags::MS_PRIVATE, no).unwrap();
        for (name, place) in [("drbd.d", "/etc/drbd.d"), ("state", STATE), ("records", RECORDS), ("run", "/run/ocf-san")] {
            let from = self.dir.join(name);
            fs::create_dir_all(&from).unwrap();
            bind(&from, place);
        }
        fs::write(self.dir.join("drbd.d/global_common.conf"), "global { usage-count no; }\ncommon {}\n").unwrap();
        self.pacemaker();
    }

    /// Pacemaker's tools for attributes as programs that keep a value and a record of their calls.
    pub(super) fn pacemaker(&self) {
        let stand_in = self.dir.join("crm");
        let text = "#!/bin/bash\nd=DIR\nprintf '%s %s\\n' \"${0##*/}\" \"$*\" >>$d/crm.log\nset=\n\
                    [ \"$*\" != --refresh ] || exit 0\n\
                    while [ $# -gt 0 ]; do\n case $1 in\n\
                    -v | --update) echo \"$2\" >$d/score; shift; set=yes ;;\n\
                    --update=*) echo \"${1#*=}\" >$d/score; set=yes ;;\n\
                    -v*) echo \"${1#-v}\" >$d/score; set=yes ;;\n\
                    -D | --delete) rm -f $d/score; set=yes ;;\n esac\n shift\ndone\n\
                    [ -n \"$set\" ] || cat $d/score 2>/dev/null || exit 105\n";
        script::write(&stand_in, &text.replace("DIR", self.dir.to_str().unwrap()));
        for tool in ["/usr/sbin/crm_attribute", "/usr/sbin/crm_master", "/usr/sbin/attrd_updater"] {
            mount(Some(&stand_in), tool, None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap();
        }
    }

    /// Both configurations, with these options of `net` and `disk`.
    pub fn configure(&self, net: &str, disk: &str) {
        for end in [End::Near, End::Far] {
            let volume = |n: u32| {
                format!(
                    "volume {n} {{ device minor {}; disk {}; meta-disk internal; }}",
                    self.minor_of(end, n),
                    self.disk(end, n)
                )
            };
            let port = |end: End| 7000 + self.number * 2 + u32::from(end == End::Far);
            let other = if end == End::Near { End::Far } else { End::Near };
            let volumes: Vec<_> = (0..self.volumes).map(|n| format!("    {}\n", volume(n))).collect();
            let text = format!(
                "resource {} {{\n  net {{ connect-int 1; {net} }}\n  disk {{ {disk} }}\n{}\
                 \x20 on solo {{ address 127.0.0.1:{}; }}\n  on other {{ address 127.0.0.1:{}; }}\n}}\n",
                self.name(end),
                volumes.concat(),
                port(end),
                port(other),
            );
            match end {
                End::Near => fs::write(self.config(), text).unwrap(),
                End::Far => fs::write(self.dir.join("far.conf"), format!("global {{ usage-count no; }}\n{text}")).unwrap(),
            }
        }
    }

    /// A machine without these programs, by a layer over their directory that only this test sees.
    pub fn hide(&self, programs: &[&str]) {
        let layer = self.dir.join(format!("layer-{}", programs[0]));
        let hidden: Vec<_> = programs.iter().map(|name| format!("mknod {}/{name} c 0 0; ", layer.display())).collect();
        let overlay = format!("mount -t overlay none -o lowerdir={}:/usr/sbin /usr/sbin", layer.display());
        sh(&format!("mkdir {} && {} {overlay}", layer.display(), hidden.concat())).ok();
        for program in programs {
            assert_eq!(sh(&format!("{program} --version")).code, 127, "{program}");
        }
        if !programs.contains(&"crm_attribute") {
            self.pacemaker();
        }
    }

    /// No program of drbd-utils any more.
    pub fn hide_utils(&self) {
        sh("mount -t tmpfs none /lib/drbd").ok();
        self.hide(&["drbdadm", "drbdsetup", "drbdmeta"]);
    }
}
