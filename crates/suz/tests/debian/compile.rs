//! Two processors compile a program of Debian's.

use crate::running::Running;

/// Has apt know where the sources of packages are, at its next update.
pub(crate) const WITH_SOURCES: &str = "sudo sed -i -e 's/^Types: deb$/Types: deb deb-src/' -e 's/^deb \\(.*\\)/&\\ndeb-src \\1/' \
     $(ls /etc/apt/sources.list /etc/apt/sources.list.d/* 2> /dev/null)";

/// The compiler, and Lua's own sources.
const FETCH: &str = "\
    sudo apt-get -q -y --no-install-recommends install gcc libc6-dev make && mkdir lua && cd lua && \
    apt-get -q --download-only source lua5.4 && tar -xf lua5.4_*.orig.tar.* --strip-components=1";

/// A program for Lua: numbers, strings, tables, closures, coroutines, the collector.
const PROGRAM: &str = r#"
local function primes(most)
    return coroutine.wrap(function()
        local sieve = {}
        for n = 2, most do
            if not sieve[n] then
                coroutine.yield(n)
                for multiple = n * n, most, n do sieve[multiple] = true end
            end
        end
    end)
end
local sum, count, text = 0, 0, {}
for prime in primes(100000) do
    sum, count = sum + prime, count + 1
    text[#text + 1] = string.format("%x", prime)
end
collectgarbage()
print(_VERSION, count, sum, #table.concat(text), ("suzerain"):rep(2, "-"):upper(), 2^53, 7 // 2, math.pi)
"#;

/// What it says, by any Lua.
const ANSWER: &str =
    "Lua 5.4\t9592\t454396537\t40794\tSUZERAIN-SUZERAIN\t9.007199254741e+15\t3\t3.1415926535898";

/// Installs the compiler, builds Lua by all processors, and has it compute something.
pub(crate) fn lua(running: &Running) {
    running.says(FETCH);
    running.says("cd lua && make -j2 linux");
    let kinds =
        running.says("cd lua && ls src/*.o | wc -l && test -x src/lua -a -x src/luac && echo both");
    assert_eq!(kinds, "34\nboth");
    let said = running.says(&format!("lua/src/lua -e '{PROGRAM}'"));
    assert_eq!(said, ANSWER);
}
