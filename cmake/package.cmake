# A Debian package of what is installed: `cpack -G DEB --config BUILD/CPackConfig.cmake`. Needs dpkg.
set(CPACK_PACKAGE_NAME rex)
set(CPACK_PACKAGE_VENDOR "the rex authors")
set(CPACK_PACKAGE_CONTACT "the rex authors <rex@localhost>")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES OFF)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
# By hand: the plug-in alone needs Open MPI, and rex is whole without it.
set(CPACK_DEBIAN_PACKAGE_DEPENDS "libc6 (>= 2.36), libhwloc15, libpmix2 (>= 4.2.2)")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "openmpi-bin, openssh-client")
include(CPack)
