#!/bin/sh
# Puts Debian's newest Neovim into FOLDER, with the libraries that it needs, and installs nothing:
# fetch_neovim.sh FOLDER. FOLDER/nvim runs it. For tests; a stable Debian has an older one.
set -eu
folder=$1
suite=sid
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
mkdir -p "$folder/apt/lists/partial" "$folder/apt/archives/partial" "$folder/root"
cd "$folder"
# The archive that this machine uses already; not that of its security updates.
archive=$(apt-get indextargets --format '$(REPO_URI)' | grep '/debian/$' | head -n 1)
echo "deb [signed-by=$keyring] ${archive:?no Debian archive is configured} $suite main" > apt/sources.list
run() {
    apt-get -qq -o Dir::Etc::sourcelist="$folder/apt/sources.list" -o Dir::Etc::sourceparts=- \
        -o Dir::State::lists="$folder/apt/lists" -o Dir::Cache="$folder/apt" \
        -o Dir::State::status=/dev/null -o Acquire::Languages=none -o APT::Sandbox::User=root "$@"
}
run update
run -y --no-install-recommends --download-only install neovim
for package in apt/archives/*.deb; do
    dpkg-deb -x "$package" root
done
loader=$(find "$folder/root" -name 'ld-linux-*.so.*' | head -n 1)
libraries=$(dirname "$loader")
cat > nvim <<END
#!/bin/sh
VIMRUNTIME='$folder/root/usr/share/nvim/runtime' exec '$loader' --library-path '$libraries:$folder/root/usr/lib' '$folder/root/usr/bin/nvim' "\$@"
END
chmod +x nvim
rm -r apt
./nvim --version | head -n 1
