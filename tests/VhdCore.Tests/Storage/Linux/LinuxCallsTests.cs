using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using VhdCore.Primitives;
using VhdCore.Storage.Linux;

namespace VhdCore.Tests.Storage.Linux;

/// <summary>Sizes and offsets as the kernel's headers have them for 64 bits.</summary>
public sealed class LinuxCallsTests
{
    [Fact]
    public void Structures_shared_with_the_kernel_have_its_layout()
    {
        Assert.Equal(16, Unsafe.SizeOf<IoVec>());
        Assert.Equal(32, Unsafe.SizeOf<LinuxCalls.Flock>());
        Assert.Equal(2, Offset<LinuxCalls.Flock>(nameof(LinuxCalls.Flock.Whence)));
        Assert.Equal(8, Offset<LinuxCalls.Flock>(nameof(LinuxCalls.Flock.Start)));
        Assert.Equal(16, Offset<LinuxCalls.Flock>(nameof(LinuxCalls.Flock.Length)));
        Assert.Equal(24, Offset<LinuxCalls.Flock>(nameof(LinuxCalls.Flock.ProcessId)));
        Assert.Equal(256, Unsafe.SizeOf<LinuxCalls.StatXBuffer>());
        Assert.Equal(28, Offset<LinuxCalls.StatXBuffer>(nameof(LinuxCalls.StatXBuffer.Mode)));
        Assert.Equal(32, Offset<LinuxCalls.StatXBuffer>(nameof(LinuxCalls.StatXBuffer.Inode)));
        Assert.Equal(40, Offset<LinuxCalls.StatXBuffer>(nameof(LinuxCalls.StatXBuffer.Size)));
        Assert.Equal(48, Offset<LinuxCalls.StatXBuffer>(nameof(LinuxCalls.StatXBuffer.Blocks)));
        Assert.Equal(136, Offset<LinuxCalls.StatXBuffer>(nameof(LinuxCalls.StatXBuffer.DeviceMajor)));
        Assert.Equal(140, Offset<LinuxCalls.StatXBuffer>(nameof(LinuxCalls.StatXBuffer.DeviceMinor)));
        Assert.Equal(152, Offset<LinuxCalls.StatXBuffer>(nameof(LinuxCalls.StatXBuffer.DirectMemoryAlignment)));
        Assert.Equal(156, Offset<LinuxCalls.StatXBuffer>(nameof(LinuxCalls.StatXBuffer.DirectOffsetAlignment)));
        Assert.True(Unsafe.SizeOf<LinuxCalls.StatFsBuffer>() >= 120);
    }

    private static int Offset<T>(string field) => (int)Marshal.OffsetOf<T>(field);
}
