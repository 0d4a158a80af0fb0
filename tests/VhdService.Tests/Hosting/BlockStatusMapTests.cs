using VhdCore.Errors;
using VhdService.Hosting;

namespace VhdService.Tests.Hosting;

public sealed class BlockStatusMapTests
{
    [Theory]
    [InlineData(BlockStatus.Ok, 0)]
    [InlineData(BlockStatus.OutOfRange, 22)]
    [InlineData(BlockStatus.ReadOnly, 30)]
    [InlineData(BlockStatus.NoSpace, 28)]
    [InlineData(BlockStatus.IoError, 5)]
    [InlineData(BlockStatus.Corrupt, 5)]
    [InlineData(BlockStatus.Unsupported, 95)]
    [InlineData(BlockStatus.Cancelled, 125)]
    [InlineData(BlockStatus.Closed, 108)]
    public void Each_status_is_one_errno(BlockStatus status, int errno) => Assert.Equal(errno, BlockStatusMap.ToErrno(status));

    [Fact]
    public void Nbd_clients_see_only_errors_that_the_protocol_lists()
    {
        uint[] listed = [1, 5, 12, 22, 28, 75, 95, 108]; // EPERM EIO ENOMEM EINVAL ENOSPC EOVERFLOW ENOTSUP ESHUTDOWN
        foreach (var status in Enum.GetValues<BlockStatus>().Where(status => status != BlockStatus.Ok))
        {
            Assert.Contains(BlockStatusMap.ToNbdError(status, isWrite: false), listed);
            Assert.Contains(BlockStatusMap.ToNbdError(status, isWrite: true), listed);
        }
    }

    [Fact]
    public void Behind_the_end_a_write_lacks_space_and_a_read_is_invalid()
    {
        Assert.Equal(28u, BlockStatusMap.ToNbdError(BlockStatus.OutOfRange, isWrite: true));
        Assert.Equal(22u, BlockStatusMap.ToNbdError(BlockStatus.OutOfRange, isWrite: false));
    }

    [Fact]
    public void Writing_to_a_read_only_export_is_not_permitted() =>
        Assert.Equal(1u, BlockStatusMap.ToNbdError(BlockStatus.ReadOnly, isWrite: true));

    [Fact]
    public void Success_is_zero_and_nothing_else_is()
    {
        foreach (var status in Enum.GetValues<BlockStatus>())
        {
            Assert.Equal(status == BlockStatus.Ok, BlockStatusMap.ToErrno(status) == 0);
            Assert.Equal(status == BlockStatus.Ok, BlockStatusMap.ToNbdError(status, isWrite: false) == 0);
        }
    }
}
