using System.Buffers.Binary;
using System.Security.Cryptography;
using VhdCore.Operations;

namespace VhdCore.Tests.Operations;

public sealed class HashOperationTests
{
    private const int MiB = 1 << 20;

    public static TheoryData<int> Lengths { get; } = [0, 1, 512, MiB - 1, MiB, MiB + 1, 2 * MiB, (3 * MiB) + 512, (6 * MiB) + 3, (17 * MiB) + 1, (39 * MiB) - 512];

    [Theory]
    [MemberData(nameof(Lengths))]
    public async Task The_plain_hash_is_SHA_256_of_all_bytes(int length)
    {
        foreach (var device in Devices(length))
        {
            Assert.Equal(SHA256.HashData(device.Content), await HashOperation.RunAsync(device));
        }
    }

    [Theory]
    [MemberData(nameof(Lengths))]
    public async Task The_tree_hash_is_the_one_of_a_plain_recursive_reading_of_the_document(int length)
    {
        foreach (var device in Devices(length))
        {
            foreach (var jobs in new[] { 1, 3 })
            {
                Assert.Equal(Reference(device.Content), await HashOperation.RunTreeAsync(device, jobs));
            }
        }
    }

    [Fact]
    public async Task The_values_in_the_document_stand()
    {
        var counting = new byte[(3 * MiB) + 512];
        for (var i = 0; i < counting.Length; i++)
        {
            counting[i] = (byte)(i % 251);
        }

        await ExpectAsync([], "c0e50f0d90d6e2fea1e6f53d4f758ed5fc9035a399a8eb215c29c6ff3ea05425");
        await ExpectAsync([.. "abc"u8], "5c170547d40533fb44a0c4874b2977285d519c9e8129f7733c364d97cf2cabd6");
        await ExpectAsync(new byte[MiB], "18b288b943964a110938dee7fadde7c8865830a409371a5b54c3443aa84b40f1");
        await ExpectAsync(new byte[5 * MiB], "5badb7420434cd1538e4a83b483c69f22f9c7439ee4a5cd47113c2b089211525");
        await ExpectAsync(counting, "58e6a4036ba955e43758e86065a293d0adeb8d7904b35349bd8463b21216b9b7");

        static async Task ExpectAsync(byte[] content, string expected) =>
            Assert.Equal(expected, Convert.ToHexStringLower(await HashOperation.RunTreeAsync(new ArrayDevice(content))));
    }

    [Fact]
    public async Task Known_zeros_are_not_read_by_either_hash()
    {
        var device = new ArrayDevice(Pattern.Bytes(9 * MiB)).WithZeros(512, (8 * MiB) + 512);
        await HashOperation.RunAsync(device);
        await HashOperation.RunTreeAsync(device);
        Assert.All(device.Log, entry => Assert.True(entry.Offset + entry.Length <= 512 || entry.Offset >= (8 * MiB) + 1024, entry.ToString()));
    }

    [Fact]
    public void Appending_zeros_at_once_is_appending_them_leaf_by_leaf()
    {
        var leaf = TreeHash.Leaf(new byte[MiB]);
        for (var before = 0; before < 9; before++)
        {
            for (var zeros = 0; zeros < 40; zeros++)
            {
                var quick = new TreeHash();
                var slow = new TreeHash();
                for (var i = 0; i < before; i++)
                {
                    quick.Append(TreeHash.Leaf([(byte)i]));
                    slow.Append(TreeHash.Leaf([(byte)i]));
                }

                quick.AppendZeros((long)zeros * MiB);
                for (var i = 0; i < zeros; i++)
                {
                    slow.Append(leaf);
                }

                quick.Append(TreeHash.Leaf([7]));
                slow.Append(TreeHash.Leaf([7]));
                Assert.Equal(slow.Root(5), quick.Root(5));
            }
        }
    }

    [Fact]
    public void Zeros_of_sixty_four_tebibytes_cost_next_to_nothing()
    {
        var tree = new TreeHash();
        tree.AppendZeros(64L << 40);
        var top = TreeHash.Leaf(new byte[MiB]);
        for (var height = 0; height < 26; height++)
        {
            top = SHA256.HashData([1, .. top, .. top]);
        }

        Span<byte> length = stackalloc byte[8];
        BinaryPrimitives.WriteInt64BigEndian(length, 64L << 40);
        Assert.Equal(SHA256.HashData([2, .. length, .. top]), tree.Root(64L << 40));
    }

    private static IEnumerable<ArrayDevice> Devices(int length)
    {
        yield return new ArrayDevice(Pattern.Bytes(length));
        yield return new ArrayDevice(new byte[length]);
        var whole = length / 512 * 512L;
        yield return new ArrayDevice(new byte[length]).WithZeros(0, whole);
        if (length > 2 * MiB)
        {
            yield return new ArrayDevice(Pattern.Bytes(length)).WithZeros(MiB, whole - MiB);
            yield return new ArrayDevice(Pattern.Bytes(length)).WithZeros(MiB / 2, MiB);
            yield return new ArrayDevice(Pattern.Bytes(length)).WithZeros(0, 2 * MiB).WithZeros(whole - 512, 512);
        }
    }

    // docs/tree-hash.md, as simply as it can be said.
    private static byte[] Reference(byte[] content)
    {
        var leaves = content.Length == 0 ? [[]] : content.Chunk(MiB).ToArray();
        var length = new byte[8];
        BinaryPrimitives.WriteInt64BigEndian(length, content.Length);
        return SHA256.HashData([2, .. length, .. Subtree(leaves)]);

        static byte[] Subtree(byte[][] leaves)
        {
            if (leaves.Length == 1)
            {
                return SHA256.HashData([0, .. leaves[0]]);
            }

            var left = 1;
            while (left * 2 < leaves.Length)
            {
                left *= 2;
            }

            return SHA256.HashData([1, .. Subtree(leaves[..left]), .. Subtree(leaves[left..])]);
        }
    }
}
