using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Testing.Independent;
using static VhdCore.Tests.Chains.ChainImages;

namespace VhdCore.Tests.Chains;

public sealed class ChainWalkTests
{
    [Fact]
    public async Task An_image_that_is_its_own_parent_is_refused()
    {
        var resolver = Memory(Image("loop.vhd", 1, Image("loop.vhd", 1)));
        var exception = await Assert.ThrowsAsync<ParentMismatchException>(async () => await OpenAsync(resolver, "/vm/loop.vhd"));
        Assert.Contains("circle", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_circle_of_two_images_is_refused()
    {
        var resolver = Memory(Image("a.vhd", 1, Image("b.vhd", 2)), Image("b.vhd", 2, Image("a.vhd", 1)));
        foreach (var ignoreId in (bool[])[false, true])
        {
            var exception = await Assert.ThrowsAsync<ParentMismatchException>(async () => await OpenAsync(resolver, "/vm/a.vhd", new() { IgnoreParentId = ignoreId }));
            Assert.Equal("/vm/b.vhd", exception.Path);
            Assert.Contains("circle", exception.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_circle_through_a_copy_or_hard_link_is_told_by_the_identifier()
    {
        var resolver = Memory(Image("a.vhd", 1, Image("link.vhd", 1)), Image("link.vhd", 1, Image("a.vhd", 1)));
        var exception = await Assert.ThrowsAsync<ParentMismatchException>(async () => await OpenAsync(resolver, "/vm/a.vhd"));
        Assert.Contains("circle", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_chain_as_long_as_allowed_opens_and_one_image_more_is_refused()
    {
        var images = new List<PlainVhdBuilder> { Image("0.vhd", 0) };
        for (byte i = 1; i < 10; i++)
        {
            images.Add(Image($"{i}.vhd", i, images[^1]).PutText(i * 7, 9));
        }

        var resolver = Memory([.. images]);
        Assert.Equal(images[^1].Content(), await ReadAllAsync(resolver, "/vm/9.vhd", new() { MaxChainDepth = 10 }));
        var exception = await Assert.ThrowsAsync<UnsupportedImageException>(async () => await OpenAsync(resolver, "/vm/9.vhd", new() { MaxChainDepth = 9 }));
        Assert.Equal("/vm/1.vhd", exception.Path);
    }

    [Fact]
    public async Task A_parent_stamped_after_the_child_saw_it_is_warned_about()
    {
        var seen = Image("base.vhd", 1);
        var changed = new PlainVhdBuilder { FileName = "base.vhd", Id = 1, Size = Size, BlockSize = BlockSize, Timestamp = seen.Timestamp + 60 };
        var warnings = new List<ImageWarning>();
        await ReadAllAsync(Memory(changed, Image("leaf.vhd", 2, seen)), "/vm/leaf.vhd", new() { OnWarning = warnings.Add });
        Assert.Contains("later than when this image was made", Assert.Single(warnings).Message, StringComparison.Ordinal);
    }
}
