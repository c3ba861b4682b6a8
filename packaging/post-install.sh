#!/bin/sh
# Runs at the end of `meson install`: links, set-gid modes, first configuration, queue. Honours DESTDIR.
# Never overwrites main.cf or master.cf. Missing accounts are told, not created.
set -eu

commands=$1 daemons=$2 config=$3 queue=$4 data=$5 owner=$6 group=$7 source=$8
root=${DESTDIR:-}
incomplete=

say() { printf 'mtad install: %s\n' "$*"; }
postpone() { incomplete=yes; say "$*"; }

# link TARGET NAME: a relative or absolute target, replacing an older link but no file of another kind.
link() {
    mkdir -p "$root$(dirname "$2")"
    if [ -e "$root$2" ] && [ ! -L "$root$2" ]; then
        say "$2 exists and is no link: left as it is"
        return
    fi
    ln -sfn "$1" "$root$2"
}

# A private installation keeps out of the system's directories.
if [ "$commands" = /usr/sbin ]; then
    link "$commands/sendmail" /usr/bin/mailq
    link "$commands/sendmail" /usr/bin/newaliases
    link ../sbin/sendmail /usr/lib/sendmail
else
    link sendmail "$commands/mailq"
    link sendmail "$commands/newaliases"
fi

mkdir -p "$root$config"
for file in main.cf master.cf; do
    if [ -e "$root$config/$file" ]; then
        say "$config/$file is there already: kept"
    else
        sed -e "s|@queue_directory@|$queue|g" -e "s|@command_directory@|$commands|g" \
            -e "s|@daemon_directory@|$daemons|g" -e "s|@data_directory@|$data|g" \
            -e "s|@mail_owner@|$owner|g" -e "s|@setgid_group@|$group|g" \
            "$source/$file" >"$root$config/$file"
        chmod 644 "$root$config/$file"
    fi
done

number_of() { getent "$1" "$2" | cut -d: -f3; }
uid=$(number_of passwd "$owner" || true)
gid=$(number_of group "$group" || true)

for name in postdrop postqueue; do
    file=$root$commands/$name
    [ -e "$file" ] || continue
    if [ "$(id -u)" != 0 ]; then
        postpone "not root: $commands/$name is not set-gid $group yet"
    elif [ -z "$gid" ]; then
        postpone "no group $group: $commands/$name is not set-gid; run: groupadd --system $group"
    else
        chown "0:$gid" "$file"
        chmod 2555 "$file"
    fi
done

if [ -z "$uid" ]; then
    postpone "no user $owner, who owns the queue; run: useradd --system --no-create-home --home-dir $queue --shell /usr/sbin/nologin $owner"
fi

# own DIRECTORY USER:GROUP MODE; the mode comes last, since chown clears set-id bits.
own() {
    mkdir -p "$root$1"
    if [ "$(id -u)" = 0 ] && [ -n "$uid" ] && [ -n "$gid" ]; then
        chown "$2" "$root$1"
        chmod "$3" "$root$1"
    fi
}
own "$queue" 0:0 755
own "$queue/pid" 0:0 755
for name in active bounce corrupt defer deferred flush hold incoming private saved trace; do
    own "$queue/$name" "$uid:0" 700
done
own "$queue/maildrop" "$uid:$gid" 730
own "$queue/public" "$uid:$gid" 710
own "$data" "$uid:$(getent passwd "$owner" | cut -d: -f4 || true)" 700
if [ -n "$incomplete" ]; then
    say "when that is mended: postfix set-permissions"
fi
