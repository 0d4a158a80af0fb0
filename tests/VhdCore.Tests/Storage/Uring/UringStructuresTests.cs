using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using VhdCore.Storage.Uring;

namespace VhdCore.Tests.Storage.Uring;

/// <summary>Sizes and offsets as the kernel's header has them.</summary>
public sealed class UringStructuresTests
{
    [Fact]
    public void Structures_shared_with_the_kernel_have_its_layout()
    {
        Assert.Equal(120, Unsafe.SizeOf<UringParameters>());
        Assert.Equal(20, Offset<UringParameters>(nameof(UringParameters.Features)));
        Assert.Equal(40, Offset<UringParameters>(nameof(UringParameters.Sq)));
        Assert.Equal(80, Offset<UringParameters>(nameof(UringParameters.Cq)));
        Assert.Equal(40, Unsafe.SizeOf<UringQueueOffsets>());
        Assert.Equal(20, Offset<UringQueueOffsets>(nameof(UringQueueOffsets.Cqes)));
        Assert.Equal(24, Offset<UringQueueOffsets>(nameof(UringQueueOffsets.Array)));
        Assert.Equal(64, Unsafe.SizeOf<UringSubmission>());
        Assert.Equal(4, Offset<UringSubmission>(nameof(UringSubmission.Descriptor)));
        Assert.Equal(8, Offset<UringSubmission>(nameof(UringSubmission.Offset)));
        Assert.Equal(16, Offset<UringSubmission>(nameof(UringSubmission.Address)));
        Assert.Equal(24, Offset<UringSubmission>(nameof(UringSubmission.Length)));
        Assert.Equal(28, Offset<UringSubmission>(nameof(UringSubmission.ReadWriteFlags)));
        Assert.Equal(32, Offset<UringSubmission>(nameof(UringSubmission.UserData)));
        Assert.Equal(16, Unsafe.SizeOf<UringCompletion>());
        Assert.Equal(8, Offset<UringCompletion>(nameof(UringCompletion.Result)));
        Assert.Equal(16 + (256 * 8), Unsafe.SizeOf<UringProbe>());
    }

    private static int Offset<T>(string field) => (int)Marshal.OffsetOf<T>(field);
}
